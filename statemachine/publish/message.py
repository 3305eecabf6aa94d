"""What readers of the event stream are told: rendered once, however many read it; not at all where nobody does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

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
