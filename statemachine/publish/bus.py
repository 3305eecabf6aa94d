"""Who is told of changes. A slow reader loses its subscription, never the daemon's time.

A message is rendered once, however many read it.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import StrEnum


class Topic(StrEnum):
    """The `event` field of the stream."""

    TRANSITION = "transition"
    PROGRESS = "progress"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Message:
    """`seq` is the journal's number, None for what is live only. `data` is JSON text."""

    topic: Topic
    data: bytes
    seq: int | None = None
    server: str | None = None


QUEUE_LIMIT = 2_000


class Subscription:
    """A reader's own queue, bounded.

    Once it overflows, nothing more comes: the reader must start again from its last id.
    """

    def __init__(self, server: str | None) -> None:
        self._server = server
        self._queue: deque[Message] = deque()
        self._wake = asyncio.Event()
        self.overflowed = False

    def offer(self, message: Message) -> None:
        """Queue a message that this reader wants."""
        if self.overflowed or (self._server is not None and message.server != self._server):
            return
        if len(self._queue) >= QUEUE_LIMIT:
            self.overflowed = True
            self._queue.clear()
        else:
            self._queue.append(message)
        self._wake.set()

    async def take(self) -> list[Message]:
        """Wait for messages and take all that are there; empty means that the reader was too slow and is cut off."""
        if not self.overflowed:
            await self._wake.wait()
        self._wake.clear()
        taken = list(self._queue)
        self._queue.clear()
        return taken


class Bus:
    """Fans messages out on the loop, without awaiting anybody."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def publish(self, message: Message) -> None:
        """Offer the message to every reader."""
        for subscription in self._subscriptions:
            subscription.offer(message)

    def subscribe(self, server: str | None = None) -> Subscription:
        """A new reader, of one server or of all."""
        subscription = Subscription(server)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a reader."""
        self._subscriptions.discard(subscription)

    def __len__(self) -> int:
        return len(self._subscriptions)
