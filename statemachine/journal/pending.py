"""A write that waits to be committed, and what follows when it is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from loguru import logger

from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import Message, verbatim
from statemachine.i18n.render import MessageError
from statemachine.journal.port import JournalUnavailableError
from statemachine.journal.store import Write

V = TypeVar("V")
"""What is published beside an entry. For a single daemon it is the server's view after the entry."""

OnPublished = Callable[[LogEntry, V | None], None]


def message_of_error(error: Exception) -> Message:
    """Return why a file cannot be used."""
    return error.message if isinstance(error, MessageError) else verbatim(str(error))


@dataclass(slots=True, eq=False)
class PendingWrite(Generic[V]):
    """`committed` is resolved for a durable write, on which the caller waits."""

    write: Write
    view: V | None = None
    committed: asyncio.Future[None] | None = None
    is_published: bool = False

    def publish(self, seq: int | None, on_committed: OnPublished[V]) -> None:
        """Publish the entry once, without a number if it cannot be committed now."""
        entry = self.write.entry
        if entry is None or self.is_published:
            return
        self.is_published = True
        try:
            on_committed(entry.numbered(seq), self.view)
        except Exception:
            logger.exception("failed to publish an entry; the next entries are not affected")

    def resolve(self, error: Exception | None = None) -> None:
        """Let `append_durably` return, or raise JournalUnavailableError."""
        if self.committed is None or self.committed.done():
            return
        if error is None:
            self.committed.set_result(None)
        else:
            self.committed.set_exception(JournalUnavailableError(message_of_error(error)))
