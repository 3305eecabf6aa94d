"""Announcements that wait for a channel, and the rate limit of its messages.

The limit drops no announcement: the last message that it allows contains everything that waits.
"""

from collections import deque
from dataclasses import dataclass

from statemachine.alerts.alert import Announcement

MAX_WAITING = 1_000
"""Announcements that one channel keeps; of older ones only the number is kept."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `max_messages` within `window_s` seconds."""

    max_messages: int
    window_s: float


@dataclass(frozen=True, slots=True)
class NotificationBatch:
    """The announcements of one message. `omitted` counts older ones that were not kept."""

    announcements: tuple[Announcement, ...]
    omitted: int = 0


class NotificationQueue:
    """The queue of one channel. `now` is monotonic time in seconds; no clock is read."""

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._waiting: deque[Announcement] = deque()
        self._omitted = 0
        self._sent: deque[float] = deque()

    def __len__(self) -> int:
        """Return the number of waiting announcements, including omitted ones."""
        return len(self._waiting) + self._omitted

    def put(self, announcement: Announcement) -> Announcement | None:
        """Add an announcement. If the queue is full, omit the oldest one and return it."""
        self._waiting.append(announcement)
        if len(self._waiting) <= MAX_WAITING:
            return None
        self._omitted += 1
        return self._waiting.popleft()

    def take(self, now: float) -> NotificationBatch | None:
        """Return the next message, or None if nothing waits or the limit is reached."""
        allowed = self.limit.max_messages - self._sent_in_window(now)
        if not self._waiting or allowed <= 0:
            return None
        self._sent.append(now)
        if self._omitted or (allowed == 1 and len(self._waiting) > 1):
            return self.take_all()
        return NotificationBatch((self._waiting.popleft(),))

    def put_back(self, batch: NotificationBatch) -> None:
        """Put a batch that was not sent back at the front."""
        self._waiting.extendleft(reversed(batch.announcements))
        self._omitted += batch.omitted

    def take_all(self) -> NotificationBatch:
        """Return everything that waits, regardless of the limit."""
        batch = NotificationBatch(tuple(self._waiting), self._omitted)
        self._waiting.clear()
        self._omitted = 0
        return batch

    def ready_at(self, now: float) -> float | None:
        """Return when `take` will return a message, or None if nothing waits."""
        if not self._waiting:
            return None
        is_full = self._sent_in_window(now) >= self.limit.max_messages
        return self._sent[-self.limit.max_messages] + self.limit.window_s if is_full else now

    def _sent_in_window(self, now: float) -> int:
        while self._sent and self._sent[0] + self.limit.window_s <= now:
            self._sent.popleft()
        return len(self._sent)
