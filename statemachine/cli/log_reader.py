"""The sources of `tail`: the running daemon or, without one, the journal's file.

Both are read backwards in pages and then followed from the last number, without gaps and duplicates.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Protocol, cast

from typing_extensions import TypedDict, override

from statemachine.client import EventAnswer, Fleet
from statemachine.core.log_entry import EVERYTHING, LogEntry, LogFilter
from statemachine.core.messages import Message
from statemachine.journal.private import DataFolderError
from statemachine.journal.store import JournalStore
from statemachine.publish.serialize import log_entry

PAGE = 500
POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """The newest `count` entries (None: no limit) that match, not before `since` (epoch seconds)."""

    count: int | None
    since: float | None
    filter: LogFilter

    def recent(self, entries: list[EventAnswer]) -> list[EventAnswer]:
        """Return the entries, newest first, up to the first that is too old."""
        since = self.since
        return entries if since is None else list(takewhile(lambda entry: _epoch(entry) >= since, entries))


class LogSource(Protocol):
    """An event log that can be paged and followed."""

    async def page(self, before: int | None, limit: int, wanted: LogFilter) -> tuple[list[EventAnswer], int | None]:
        """Return the newest matching entries below `before`, newest first, and the next `before` or None."""
        ...

    def follow(self, cursor: int, wanted: LogFilter) -> AsyncGenerator[EventAnswer, None]:
        """Yield entries after that number, indefinitely."""
        ...


async def newest_number(source: LogSource) -> int:
    """Return the number of the newest entry, or 0."""
    entries, _ = await source.page(None, 1, EVERYTHING)
    return entries[0]["id"] or 0 if entries else 0


async def newest(source: LogSource, wanted: Wanted, head: int) -> AsyncIterator[EventAnswer]:
    """Yield the matching entries up to the number `head`, oldest first.

    The first pass finds how far back they go, the second reads each page again, so memory stays bounded.
    """
    pages: list[tuple[int, int]] = []
    before, missing = head + 1 if head else None, wanted.count
    while before is not None and missing != 0:
        entries, older = await source.page(before, PAGE if missing is None else min(PAGE, missing), wanted.filter)
        count = len(wanted.recent(entries))
        if count:
            pages.append((before, count))
        missing = None if missing is None else missing - count
        before = older if count == len(entries) else None
    for start, count in reversed(pages):
        entries, _ = await source.page(start, count, wanted.filter)
        for entry in reversed(entries):
            yield entry


class FileLog(LogSource):
    """The journal's file, which a daemon may be writing. Raises sqlite3.Error or DataFolderError if it is not one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store, self._inode = self._open()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def has_server(self, name: str) -> bool:
        """Whether the log has an entry of that server."""
        return self._store.has_server(name)

    @override
    async def page(self, before: int | None, limit: int, wanted: LogFilter) -> tuple[list[EventAnswer], int | None]:
        page = self._store.page_before(self._store.last_seq() + 1 if before is None else before, limit, wanted)
        return [event_answer(entry) for entry in page.entries], page.reached if page.more else None

    @override
    async def follow(self, cursor: int, wanted: LogFilter) -> AsyncGenerator[EventAnswer, None]:
        """Poll twice a second, also for a new file in place of this one."""
        while True:
            cursor = self._after_replacement(cursor)
            page = self._store.page_after(cursor, PAGE, wanted)
            for entry in page.entries:
                yield event_answer(entry)
            cursor = page.reached
            if not page.more:
                await asyncio.sleep(POLL_S)

    def _open(self) -> tuple[JournalStore, int]:
        inode = self._path.stat().st_ino
        return JournalStore(self._path, read_only=True), inode

    def _after_replacement(self, cursor: int) -> int:
        """Switch to a new file once it can be read; return 0 if its numbers start over."""
        with suppress(OSError, sqlite3.Error, DataFolderError):
            if self._path.stat().st_ino != self._inode:
                store, inode = self._open()
                last = store.last_seq()
                self._store.close()
                self._store, self._inode = store, inode
                return cursor if last >= cursor else 0
        return cursor


def event_answer(entry: LogEntry) -> EventAnswer:
    """Return an entry of the journal as the daemon sends it."""
    return cast("EventAnswer", log_entry(entry))


class DaemonLog(LogSource):
    """The daemon's log and stream. `notify` receives a message when it stops or resumes answering."""

    def __init__(self, fleet: Fleet, notify: Callable[[Message], None]) -> None:
        self._fleet = fleet
        self._notify = notify

    @override
    async def page(self, before: int | None, limit: int, wanted: LogFilter) -> tuple[list[EventAnswer], int | None]:
        answer = await self._fleet.log(limit=limit, before=before, **_chosen(wanted))
        return answer["entries"], answer["next"]

    @override
    def follow(self, cursor: int, wanted: LogFilter) -> AsyncGenerator[EventAnswer, None]:
        return self._fleet.events(since=cursor, patience_s=None, notify=self._notify, **_chosen(wanted))


class _Chosen(TypedDict):
    server: Collection[str]
    group: Collection[str]
    state: Collection[str]
    reason: Collection[str]


def _chosen(wanted: LogFilter) -> _Chosen:
    states = {state.value for state in wanted.states}
    return {"server": wanted.servers, "group": wanted.groups, "state": states, "reason": wanted.reasons}


def _epoch(entry: EventAnswer) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()
