"""The bus that delivers messages to the readers of the event stream without waiting for any of them."""

import asyncio
from collections import deque
from collections.abc import Callable

from statemachine.core.log_entry import EVERYTHING, LogFilter
from statemachine.core.server import ServerView
from statemachine.publish.serialize import StreamMessage, progress_message

QUEUE_LIMIT = 2_000


class Subscription:
    """The bounded queue of one reader.

    After an overflow it receives nothing more; the reader must subscribe again and continue from its last id.
    """

    def __init__(self, wanted: LogFilter) -> None:
        self._wanted = wanted
        self._wants_everything = wanted == EVERYTHING
        self._queue: deque[StreamMessage] = deque()
        self._wakeup = asyncio.Event()
        self.overflowed = False

    def offer(self, message: StreamMessage) -> None:
        """Queue the message if it passes the reader's filter."""
        wanted = self._wants_everything or self._wanted.passes(
            message.server, message.group, message.state, message.reason
        )
        if self.overflowed or not wanted:
            return
        if len(self._queue) >= QUEUE_LIMIT:
            self.overflowed = True
            self._queue.clear()
        else:
            self._queue.append(message)
        self._wakeup.set()

    async def take(self) -> list[StreamMessage]:
        """Wait for messages and return all of them; an empty list means that the queue has overflowed."""
        if not self.overflowed:
            await self._wakeup.wait()
        self._wakeup.clear()
        taken = list(self._queue)
        self._queue.clear()
        return taken


class Bus:
    """Delivers messages to listeners and subscriptions. All methods are called on the event loop."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._listeners: list[Callable[[StreamMessage], None]] = []

    def publish(self, message: StreamMessage) -> None:
        """Deliver the message of a log entry to every listener and reader."""
        for listener in self._listeners:
            listener(message)
        for subscription in self._subscriptions:
            subscription.offer(message)

    def publish_live(self, server: str, view: Callable[[], ServerView | None]) -> None:
        """Deliver live figures, which change with most frames, to readers; call `view` only if there are any."""
        if self._subscriptions and (current := view()) is not None:
            message = progress_message(current)
            for subscription in self._subscriptions:
                subscription.offer(message)

    def add_listener(self, listener: Callable[[StreamMessage], None]) -> None:
        """Call `listener` with the message of every log entry; it must be quick and must not raise."""
        self._listeners.append(listener)

    def subscribe(self, wanted: LogFilter = EVERYTHING) -> Subscription:
        """Add a reader of the messages that pass the filter."""
        subscription = Subscription(wanted)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a reader; does nothing if it is not subscribed."""
        self._subscriptions.discard(subscription)

    def __len__(self) -> int:
        """Return the number of readers."""
        return len(self._subscriptions)
