"""Entries and attempts for tests, and a store that can fail."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from typing_extensions import override

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import verbatim
from statemachine.core.server import Attempt, Outcome, ServerView
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.journal.journal import Journal, ThreadRunner
from statemachine.journal.rows import attempt_row
from statemachine.journal.store import JournalStore, Write

T = TypeVar("T")


def entry(
    message: str = "m",
    *,
    server: str | None = "a",
    at: float = 100.0,
    dest: State = State.COLD,
    reason: Reason = Reason.KEYS_MISSING,
) -> LogEntry:
    return LogEntry(
        at,
        EntryKind.TRANSITION,
        reason.value,
        verbatim(message),
        server=server,
        group="g",
        source=State.CHECKING,
        dest=dest,
        proved_by=Source.CHECK,
        prompt_id="p",
    )


def notice(message: str = "n", *, server: str | None = None, at: float = 100.0) -> LogEntry:
    return LogEntry(at, EntryKind.NOTICE, "journal_unavailable", verbatim(message), server=server)


def attempt(
    prompt_id: str = "p", *, server: str = "a", at: float = 100.0, outcome: Outcome = Outcome.RECORDED
) -> Attempt:
    return Attempt(
        server, "w", prompt_id, at, client_id="c", server_prompt_id=prompt_id, outcome=outcome, instance="4f"
    )


def written(store: JournalStore, *what: LogEntry | Attempt, durable: bool = False) -> list[int | None]:
    """Write all in one batch; return their numbers."""
    return store.write(
        [Write(one, None) if isinstance(one, LogEntry) else Write(None, attempt_row(one), durable) for one in what]
    )


class FragileStore(JournalStore):
    """Fails to write while `broken`. `writes` counts all batches, `durable_writes` the durable ones."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.broken: Exception | None = None
        self.writes = 0
        self.durable_writes = 0
        self.closed = False

    @override
    def write(self, batch: Sequence[Write]) -> list[int | None]:
        self.writes += 1
        self.durable_writes += any(one.durable for one in batch)
        if self.broken is not None:
            raise self.broken
        return super().write(batch)

    @override
    def close(self) -> None:
        self.closed = True
        super().close()


DISK_FULL = sqlite3.OperationalError("database or disk is full")


async def at_once(call: Callable[[], T]) -> T:
    """Run the call without a thread, for tests in virtual time."""
    return call()


def quiet_journal(
    open_store: Callable[[], JournalStore],
    run: ThreadRunner | None = None,
    on_committed: Callable[[LogEntry], None] = lambda _: None,
) -> Journal[ServerView]:
    """Return a journal that ignores changes of health; `on_committed` receives each entry."""
    return Journal(open_store, run or at_once, lambda entry, _: on_committed(entry), lambda _: None)
