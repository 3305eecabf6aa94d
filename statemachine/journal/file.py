"""Asynchronous access to the journal's file, query by query."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from statemachine.core.log_entry import EVERYTHING, LogEntry, LogFilter
from statemachine.core.server import Attempt
from statemachine.journal.pages import Page
from statemachine.journal.rows import DaemonRun, SentAlertRow
from statemachine.journal.store import JournalStore

T = TypeVar("T")


class WithStore(Protocol):
    """Calls a function with the store, in the store's thread."""

    async def __call__(self, call: Callable[[JournalStore], T]) -> T:
        """Return the call's result. Raise JournalUnavailableError if the file cannot be read or written."""
        ...


class ServerHistory(NamedTuple):
    """The attempts and the log entries of one server, newest first."""

    attempts: list[Attempt]
    entries: list[LogEntry]


class JournalFile:
    """The queries of `JournalStore`, and the writes that are not entries. In a cluster: those of this node's copy.

    Each method raises JournalUnavailableError if the file cannot be read or written.
    """

    def __init__(self, with_store: WithStore) -> None:
        self._with_store = with_store

    async def last_seq(self) -> int:
        """Return the highest id ever given, 0 before the first."""
        return await self._with_store(JournalStore.last_seq)

    async def page_after(self, after: int, limit: int, wanted: LogFilter = EVERYTHING) -> Page:
        """Return the oldest `limit` wanted entries with an id above `after`, oldest first."""
        return await self._with_store(lambda store: store.page_after(after, limit, wanted))

    async def page_before(self, before: int, limit: int, wanted: LogFilter = EVERYTHING, after: int = 0) -> Page:
        """Return the newest `limit` wanted entries with an id between `after` and `before`, newest first."""
        return await self._with_store(lambda store: store.page_before(before, limit, wanted, after))

    async def has_server(self, name: str) -> bool:
        """Return whether the log has an entry of this server."""
        return await self._with_store(lambda store: store.has_server(name))

    async def histories(self, names: Sequence[str], max_attempts: int, max_entries: int) -> list[ServerHistory]:
        """Return the newest attempts and entries of each of these servers."""
        return await self._with_store(partial(_histories, names, max_attempts, max_entries))

    async def page_and_runs(self, after: int, limit: int, after_run: int) -> tuple[Page, list[DaemonRun]]:
        """Return a page of entries, and at least the runs after `after_run` to which they belong."""
        return await self._with_store(lambda store: (store.page_after(after, limit), store.runs(after_run)))

    async def heartbeat(self, at: float) -> None:
        """Record that this run of the daemon was alive at `at` (epoch seconds)."""
        await self._with_store(lambda store: store.heartbeat(at))

    async def prune(self, older_than: float, keep: int, present: Collection[str] | None = None) -> int:
        """Delete entries before `older_than` (epoch seconds) and all but the newest `keep`; return how many.

        With `present`, the names in the fleet, what is kept of other servers is deleted by age, too.
        """
        return await self._with_store(lambda store: store.prune(older_than, keep, present))

    async def sent_alerts(self) -> list[SentAlertRow]:
        """Return the alerts that were saved last."""
        return await self._with_store(JournalStore.sent_alerts)

    async def save_sent_alerts(self, alerts: Sequence[SentAlertRow]) -> None:
        """Replace the saved alerts with these."""
        await self._with_store(lambda store: store.save_sent_alerts(alerts))

    async def newest_rollout(self) -> str | None:
        """Return the document of the newest rolling restart, None before the first."""
        return await self._with_store(JournalStore.newest_rollout)

    async def save_rollout(self, run: str, started_at: float, document: str) -> None:
        """Write a rolling restart; it survives a power cut."""
        await self._with_store(lambda store: store.save_rollout(run, started_at, document))


def _histories(names: Sequence[str], max_attempts: int, max_entries: int, store: JournalStore) -> list[ServerHistory]:
    return [
        ServerHistory(store.newest_attempts(name, max_attempts), store.newest_entries(name, max_entries))
        for name in names
    ]
