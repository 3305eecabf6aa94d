"""Messages of the event stream. Each is serialized at most once, and only if there is a reader."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from statemachine.core.messages import Message
from statemachine.core.vocabulary import State


class Topic(StrEnum):
    """The `event` field of the stream."""

    TRANSITION = "transition"
    PROGRESS = "progress"
    NOTICE = "notice"


@dataclass(slots=True, eq=False)
class StreamMessage:
    """One event of the stream.

    `render` returns its JSON. `seq` is the id in the journal, None for live-only messages. The other fields are for
    filters; those of an entry come from the entry, those of live figures from the server's current state. `content` is
    the message of an entry.
    """

    topic: Topic
    render: Callable[[], bytes]
    seq: int | None = None
    server: str | None = None
    group: str | None = None
    state: State | None = None
    reason: str | None = None
    content: Message | None = None
    _frame: bytes | None = field(default=None, init=False, repr=False)

    @property
    def frame(self) -> bytes:
        """Return the message in the format of Server-Sent Events; the first call serializes it."""
        if self._frame is None:
            head = b"" if self.seq is None else b"id: %d\n" % self.seq
            self._frame = b"%bevent: %b\ndata: %b\n\n" % (head, self.topic.value.encode(), self.render())
        return self._frame
