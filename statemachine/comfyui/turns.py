"""A fair share of the event loop for the frames of each /ws connection.

All servers share one event loop. A connection handles what it has read at once, for a short time. What is left waits
in a queue for turns of its own; between the rounds of turns the loop is free for other work.
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
