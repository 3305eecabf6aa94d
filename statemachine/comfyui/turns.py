"""A fair share of the event loop for the frames of each /ws connection.

All servers share one event loop. A connection handles what it has read at once, for a short time. What is left waits
in a queue for turns of its own; between the rounds of turns the loop is free for other work. A connection that sends
more than its share for some seconds is noticed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Protocol

AT_ONCE_S = 0.001
"""How long a connection may handle what it has just read."""
TURN_S = 0.001
"""One turn of a connection in the queue."""
ROUND_S = 0.003
"""The turns of one round. The loop is then free for as long, and for at least `SHORTEST_REST_S`."""
SHORTEST_REST_S = 0.001
NOISY_S = 0.1
"""How long a connection is noisy after its frames took long. The frames of others come before its own."""

WINDOW_S = 5.0
MOST_WAITED = 0.5
"""A connection floods if what it sent waited for more than this part of a window."""
CALM_S = 10.0
"""A flood has ended when the connection waited little for so long."""


class TurnTaker(Protocol):
    """A connection that handles what it has read. `has_more`: some of it is left, and the connection is queued.

    `noisy_until`: until then the connection handles frames only in its turns.
    """

    has_more: bool
    noisy_until: float

    def take_turn(self, until: float) -> None:
        """Handle a run of frames, and others until that time."""
        ...


class Turns:
    """The turns of the connections of one event loop."""

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self.now = now
        self._waiting: deque[TurnTaker] = deque()
        self._round: asyncio.TimerHandle | None = None

    def wait(self, reader: TurnTaker, rest_s: float) -> None:
        """Queue a connection that is not queued yet. If the queue was empty, its first turn comes after a rest."""
        if reader.noisy_until > self.now():
            self._waiting.append(reader)
        else:
            self._waiting.appendleft(reader)
        if self._round is None:
            self._schedule(rest_s)

    def _schedule(self, rest_s: float) -> None:
        loop = asyncio.get_running_loop()
        self._round = loop.call_later(max(SHORTEST_REST_S, rest_s), self._take_round)

    def _take_round(self) -> None:
        began, self._round = self.now(), None
        try:
            while self._waiting and (now := self.now()) < began + ROUND_S:
                reader = self._waiting.popleft()
                reader.take_turn(now + TURN_S)
                if reader.has_more or self.now() > now + AT_ONCE_S:
                    reader.noisy_until = self.now() + NOISY_S
                if reader.has_more:
                    self._waiting.append(reader)
        finally:
            if self._waiting and self._round is None:
                self._schedule(self.now() - began)


class FloodMeter:
    """Measures how long a connection's frames wait for their turns. Times are seconds on any clock."""

    __slots__ = ("_began", "_flooded_at", "_waited_s", "is_flooding")

    def __init__(self, now: float) -> None:
        self.is_flooding = False
        self._began = now
        self._waited_s = 0.0
        self._flooded_at = now

    def waited(self, since: float, now: float) -> bool:
        """Count a wait that has just ended; return whether a flood has begun."""
        self._waited_s += now - max(since, self._began)
        window_s = now - self._began
        if window_s < WINDOW_S:
            return False
        is_flood, was_flooding = self._waited_s > MOST_WAITED * window_s, self.is_flooding
        self._began, self._waited_s = now, 0.0
        if is_flood:
            self.is_flooding, self._flooded_at = True, now
        return is_flood and not was_flooding

    def has_ended(self, now: float) -> bool:
        """Return whether the flood has ended."""
        if now - self._flooded_at >= CALM_S:
            self.is_flooding = False
        return not self.is_flooding
