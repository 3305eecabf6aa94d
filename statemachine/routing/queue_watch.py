"""Prompts on servers of which only the queue's length is seen.

A server runs its prompts in their order. So when its queue shortens, its oldest prompts have ended, and when it grows,
the requests that were sent there have arrived, or unknown prompts of other clients.
"""

from collections import deque
from dataclasses import dataclass, field

from statemachine.routing.fleet import RoutedFleet

PICK_LIFETIME_S = 2.0
"""Time within which a request must arrive at its server. Later it counts as not sent."""

MAX_JOBS = 1_000
"""Prompts of one server that are followed. Of a longer queue, the rest is not counted."""


@dataclass(slots=True)
class _Queue:
    """What is seen of a server: its length, the ids of its prompts, and requests on their way with their times."""

    length: int = 0
    arrived: deque[str] = field(default_factory=deque)
    under_way: deque[tuple[str, float]] = field(default_factory=deque)


class QueueWatch:
    """Applies picks and lengths of queues to the fleet. Times are seconds of one clock."""

    def __init__(self, fleet: RoutedFleet) -> None:
        self._fleet = fleet
        self._queues: dict[str, _Queue] = {}
        self._picks: deque[tuple[float, str]] = deque()
        self._count = 0

    def picked(self, name: str, models: frozenset[str] | None, at: float) -> None:
        """Apply that a request is about to be sent to a server."""
        queue = self._queue(name)
        if len(queue.under_way) + len(queue.arrived) < MAX_JOBS:
            queue.under_way.append((self._sent(name, models, at), at))
            self._picks.append((at, name))

    def seen(self, name: str, length: int, at: float) -> None:
        """Apply the length of a server's queue, running prompts included."""
        queue = self._queue(name)
        change, queue.length = length - queue.length, length
        self._drop_late(name, queue, at)
        for _ in range(min(-change, len(queue.arrived))):
            self._fleet.finished(name, queue.arrived.popleft(), at)
        for _ in range(min(change, MAX_JOBS - len(queue.arrived))):
            is_ours = bool(queue.under_way)
            queue.arrived.append(queue.under_way.popleft()[0] if is_ours else self._sent(name, None, at))
        while len(queue.arrived) > length:  # prompts of a queue that was too long to be followed
            self._fleet.ended(name, queue.arrived.pop(), at)

    def restarted(self, name: str, at: float) -> None:
        """Apply a new process of a server, whose queue is empty."""
        self._queues.pop(name, None)
        self._fleet.restarted(name, at)

    def forget(self, name: str) -> None:
        """Forget a server."""
        self._queues.pop(name, None)
        self._fleet.remove(name)

    def expire(self, at: float) -> None:
        """Drop the requests that have not arrived in time."""
        while self._picks and at - self._picks[0][0] >= PICK_LIFETIME_S:
            name = self._picks.popleft()[1]
            if (queue := self._queues.get(name)) is not None:
                self._drop_late(name, queue, at)

    def _drop_late(self, name: str, queue: _Queue, at: float) -> None:
        while queue.under_way and at - queue.under_way[0][1] >= PICK_LIFETIME_S:
            self._fleet.ended(name, queue.under_way.popleft()[0], at, arrived=False)

    def _queue(self, name: str) -> _Queue:
        return self._queues.setdefault(name, _Queue())

    def _sent(self, name: str, models: frozenset[str] | None, at: float) -> str:
        self._count += 1
        job_id = str(self._count)
        self._fleet.sent(name, job_id, models, at)
        return job_id
