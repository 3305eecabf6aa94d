"""Who is told of changes. A slow reader loses its subscription, never the daemon's time.

A message is rendered once, however many read it, and not at all where nobody does.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from statemachine.core.log_filter import EVERYTHING, LogFilter
from statemachine.core.vocabulary import State


class Topic(StrEnum):
    """The `event` field of the stream."""

    TRANSITION = "transition"
    PROGRESS = "progress"
    NOTICE = "notice"


@dataclass(slots=True, eq=False)
class Message:
    """`seq` is the journal's number, None for what is live only. `render` gives the JSON text.

    The rest is what readers choose by: of an entry its own, of live figures where the server stands now.
    """

    topic: Topic
    render: Callable[[], bytes]
    seq: int | None = None
    server: str | None = None
    group: str | None = None
    state: State | None = None
    reason: str | None = None
    _frame: bytes | None = field(default=None, init=False, repr=False)

    @property
    def frame(self) -> bytes:
        """The message as one event of the stream, with its JSON on one line; made when the first reader wants it."""
        if self._frame is None:
            head = b"" if self.seq is None else b"id: %d\n" % self.seq
            self._frame = b"%bevent: %b\ndata: %b\n\n" % (head, self.topic.value.encode(), self.render())
        return self._frame


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

    def publish_live(self, message: Callable[[], Message]) -> None:
        """The same for live figures, which change with most frames: `message` is made only where somebody reads."""
        if self._subscriptions:
            made = message()
            for subscription in self._subscriptions:
                subscription.offer(made)

    def tap(self, listener: Callable[[Message], None]) -> None:
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
