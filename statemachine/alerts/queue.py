"""What waits for a channel, and how much may go there: pure, with the time passed in.

Nothing is dropped for the sake of the limit: the last message that it allows sums up everything that waits.
"""

from collections import deque
from dataclasses import dataclass

from statemachine.alerts.alert import Announcement

WAITING_LIMIT = 1_000
"""Announcements that wait for one channel; of older ones only the number is kept."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `max_messages` within `window_s` seconds."""

    max_messages: int
    window_s: float


@dataclass(frozen=True, slots=True)
class NotificationBatch:
    """What one message tells: a single announcement, or several. `uncounted` ones are known only by their number."""

    announcements: tuple[Announcement, ...]
    uncounted: int = 0


class NotificationQueue:
    """One channel's. `now` is seconds on a steady clock."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._waiting: deque[Announcement] = deque()
        self._uncounted = 0
        self._sent: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + self._uncounted

    def offer(self, announcement: Announcement) -> Announcement | None:
        """Let it wait. Gives back the one that had to go, of which only the number is kept."""
        self._waiting.append(announcement)
        if len(self._waiting) <= WAITING_LIMIT:
            return None
        self._uncounted += 1
        return self._waiting.popleft()

    def take(self, now: float) -> NotificationBatch | None:
        """The next message, where there is one and the limit allows it."""
        room = self.limit.max_messages - self._sent_lately(now)
        if not self._waiting or room <= 0:
            return None
        self._sent.append(now)
        if self._uncounted or (room == 1 and len(self._waiting) > 1):
            return self.take_all()
        return NotificationBatch((self._waiting.popleft(),))

    def put_back(self, batch: NotificationBatch) -> None:
        """What was taken has not been sent."""
        self._waiting.extendleft(reversed(batch.announcements))
        self._uncounted += batch.uncounted

    def take_all(self) -> NotificationBatch:
        """Everything that waits, whatever the limit says."""
        batch = NotificationBatch(tuple(self._waiting), self._uncounted)
        self._waiting.clear()
        self._uncounted = 0
        return batch

    def ready_at(self, now: float) -> float | None:
        """When `take` will give something; None where nothing waits."""
        if not self._waiting:
            return None
        is_full = self._sent_lately(now) >= self.limit.max_messages
        return self._sent[-self.limit.max_messages] + self.limit.window_s if is_full else now

    def _sent_lately(self, now: float) -> int:
        while self._sent and self._sent[0] + self.limit.window_s <= now:
            self._sent.popleft()
        return len(self._sent)
