"""The journal as everybody but its maker knows it: a daemon's own file, or a copy of what several daemons share."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from statemachine.core.attempt import Attempt
from statemachine.core.log_entry import LogEntry
from statemachine.core.view import ServerView
from statemachine.i18n.render import MessageError
from statemachine.journal.file import JournalFile

OnCommitted = Callable[[LogEntry, ServerView | None], None]
"""Publish a committed entry, and the server's line after it (None for a notice)."""

OnHealth = Callable[[bool], None]
"""Receive each change of whether the journal can be written."""


class JournalUnavailableError(MessageError):
    """The journal cannot be used at the moment."""


@dataclass(frozen=True, slots=True)
class SavedState:
    """What whoever looked after a server before has left: a prompt that may be with it, and the operator's pause."""

    attempt: Attempt | None = None
    paused: bool = False


class JournalPort(Protocol):
    """All methods are called on the loop.

    While it is not `healthy`, entries wait (bounded; `dropped` counts those beyond) and nothing durable is promised.
    """

    @property
    def healthy(self) -> bool:
        """Whether what is appended is being kept."""
        ...

    @property
    def waiting(self) -> int:
        """Entries and attempts that are not kept yet."""
        ...

    @property
    def dropped(self) -> int:
        """Entries that were given up."""
        ...

    def append(self, entry: LogEntry | None, attempt: Attempt | None, view: ServerView | None = None) -> None:
        """Write the entry and the attempt as they stand now, and publish the entry once it is committed.

        `view` is the server's line after the entry.
        """
        ...

    async def append_durably(self, attempt: Attempt) -> None:
        """Return once the attempt outlives whatever may happen to us; JournalUnavailableError where that cannot be."""
        ...

    async def saved_states(self, servers: Collection[str]) -> Mapping[str, SavedState]:
        """Of these servers; those that nobody has looked after are not in it. Raises JournalUnavailableError."""
        ...

    @property
    def file(self) -> JournalFile:
        """The file that this daemon reads: its own, or its copy of what several daemons share."""
        ...

    async def answers(self) -> None:
        """Return once a trivial question was answered: whoever waits in vain knows that it hangs."""
        ...
