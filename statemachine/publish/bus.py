"""Who is told of changes. A slow reader loses its subscription, never the daemon's time."""

import asyncio
from collections import deque
from collections.abc import Callable

from statemachine.core.log_entry import EVERYTHING, LogFilter
from statemachine.core.view import ServerView
from statemachine.publish.message import Message
from statemachine.publish.serialize import progress_message

QUEUE_LIMIT = 2_000


class Subscription:
    """A reader's own queue, bounded.

    Once it overflows, nothing more comes: the reader must start again from its last id.
    """

    def __init__(self, wanted: LogFilter) -> None:
        self._wanted = wanted
        self._wants_everything = wanted == EVERYTHING
        self._queue: deque[Message] = deque()
        self._wake = asyncio.Event()
        self.overflowed = False

    def offer(self, message: Message) -> None:
        """Queue a message that this reader wants."""
        if self.overflowed or not self._wants(message):
            return
        if len(self._queue) >= QUEUE_LIMIT:
            self.overflowed = True
            self._queue.clear()
        else:
            self._queue.append(message)
        self._wake.set()

    def _wants(self, message: Message) -> bool:
        return self._wants_everything or self._wanted.passes(
            message.server, message.group, message.state, message.reason
        )

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
        self._listeners: list[Callable[[Message], None]] = []

    def publish(self, message: Message) -> None:
        """Offer an entry's message to every reader."""
        for listener in self._listeners:
            listener(message)
        for subscription in self._subscriptions:
            subscription.offer(message)

    def publish_live(self, server: str, view: Callable[[], ServerView | None]) -> None:
        """The same for a server's live figures, which most frames change: `view` is looked at where somebody reads."""
        if self._subscriptions and (shown := view()) is not None:
            message = progress_message(shown)
            for subscription in self._subscriptions:
                subscription.offer(message)

    def add_listener(self, listener: Callable[[Message], None]) -> None:
        """Call the listener with every entry's message, at once and for ever: it must be quick and must not raise."""
        self._listeners.append(listener)

    def subscribe(self, wanted: LogFilter = EVERYTHING) -> Subscription:
        """A new reader, of what it wants or of everything."""
        subscription = Subscription(wanted)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a reader."""
        self._subscriptions.discard(subscription)

    def __len__(self) -> int:
        return len(self._subscriptions)
