"""The interface of the journal, of a single daemon or shared by several."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import Message
from statemachine.core.pause import NO_PAUSE, Pause
from statemachine.core.repetition import NO_STREAK, Streak
from statemachine.core.restart import Restart
from statemachine.core.server import Attempt, ServerView
from statemachine.i18n.render import MessageError
from statemachine.journal.file import JournalFile

OnCommitted = Callable[[LogEntry, ServerView | None], None]
"""Publish a committed entry, and the server's view after it (None for a notice)."""

OnHealth = Callable[[bool], None]
"""Receive each change of whether the journal can be written."""


class JournalUnavailableError(MessageError):
    """Raised if the journal cannot be used at the moment."""


@dataclass(frozen=True, slots=True)
class SavedState:
    """What an earlier run has left for a server: an open prompt, the operator's pause, its failures in a row, and its
    latest restart.
    """

    attempt: Attempt | None = None
    paused: bool = False
    streak: Streak = NO_STREAK
    pause: Pause = NO_PAUSE
    restart: Restart | None = None


class JournalPort(Protocol):
    """Call all methods on the event loop.

    While the journal is not `healthy`, entries wait in a bounded backlog and `append_durably` raises.
    """

    @property
    def healthy(self) -> bool:
        """Return whether entries are being committed."""
        ...

    @property
    def trouble(self) -> Message:
        """Return why entries are not being committed; only meaningful while the journal is not `healthy`."""
        ...

    @property
    def waiting(self) -> int:
        """Return the number of entries and attempts that are not committed yet."""
        ...

    @property
    def dropped(self) -> int:
        """Return the number of entries that did not fit into the backlog or could not be stored."""
        ...

    def append(self, entry: LogEntry | None, attempt: Attempt | None, view: ServerView | None = None) -> None:
        """Write the entry and the attempt as they are now, and publish the entry once it is committed.

        `view` is the server's view after the entry.
        """
        ...

    def save_streak(self, server: str, streak: Streak) -> None:
        """Write the server's failures in a row, which its next run or owner resumes."""
        ...

    def save_pause(self, server: str, pause: Pause) -> None:
        """Write the terms of the server's pause, which its next run or owner resumes."""
        ...

    def save_restart(self, restart: Restart) -> None:
        """Write the server's latest restart, which its next run or owner resumes."""
        ...

    async def record_restart(self, restart: Restart) -> None:
        """Return once the restart would survive a power cut. Raise JournalUnavailableError if it cannot be written."""
        ...

    async def append_durably(self, attempt: Attempt) -> None:
        """Return once the attempt would survive a power cut. Raise JournalUnavailableError if it cannot be written."""
        ...

    async def saved_states(self, servers: Collection[str]) -> Mapping[str, SavedState]:
        """Return the saved states of those servers that have one. Raise JournalUnavailableError on failure."""
        ...

    @property
    def file(self) -> JournalFile:
        """Return the file that this daemon reads: its own, or its copy of the shared log."""
        ...

    async def ping(self) -> None:
        """Verify that the file is still ours, and return once that is known. The call hangs if the journal does."""
        ...
