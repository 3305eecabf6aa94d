"""The sources of `tail`: the running daemon or, without one, the journal's file.

Both are read backwards in pages and then followed from the last number, without gaps and duplicates.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Protocol

import orjson
from typing_extensions import override

from statemachine.cli.api_client import Block, DaemonApi, DaemonError, DaemonRefusedError, Json, filter_query
from statemachine.core.backoff import backoff
from statemachine.core.log_entry import EVERYTHING, LogFilter
from statemachine.core.messages import Message, message
from statemachine.journal.private import DataFolderError
from statemachine.journal.store import JournalStore
from statemachine.publish.serialize import log_entry

PAGE = 500
POLL_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
STABLE_S = 5.0
"""How long a stream must last before the reconnect pauses start over."""
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """The newest `count` entries (None: no limit) that match, not before `since` (epoch seconds)."""

    count: int | None
    since: float | None
    filter: LogFilter

    def recent(self, entries: list[Json]) -> list[Json]:
        """Return the entries, newest first, up to the first that is too old."""
        since = self.since
        return entries if since is None else list(takewhile(lambda entry: _epoch(entry) >= since, entries))


class LogSource(Protocol):
    """An event log that can be paged and followed."""

    async def page(self, before: int | None, limit: int, wanted: LogFilter) -> tuple[list[Json], int | None]:
        """Return the newest matching entries below `before`, newest first, and the next `before` or None."""
        ...

    def follow(self, cursor: int, wanted: LogFilter) -> AsyncGenerator[Json, None]:
        """Yield entries after that number, indefinitely."""
        ...


async def newest_number(source: LogSource) -> int:
    """Return the number of the newest entry, or 0."""
    entries, _ = await source.page(None, 1, EVERYTHING)
    return int(entries[0]["id"]) if entries else 0


async def newest(source: LogSource, wanted: Wanted, head: int) -> AsyncIterator[Json]:
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
    async def page(self, before: int | None, limit: int, wanted: LogFilter) -> tuple[list[Json], int | None]:
        page = self._store.page_before(self._store.last_seq() + 1 if before is None else before, limit, wanted)
        return [log_entry(entry) for entry in page.entries], page.reached if page.more else None

    @override
    async def follow(self, cursor: int, wanted: LogFilter) -> AsyncGenerator[Json, None]:
        """Poll twice a second, also for a new file in place of this one."""
        while True:
            cursor = self._after_replacement(cursor)
            page = self._store.page_after(cursor, PAGE, wanted)
            for entry in page.entries:
                yield log_entry(entry)
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


class DaemonLog(LogSource):
    """The daemon's log and stream. `notify` receives a message when it stops or resumes answering."""

    def __init__(self, api: DaemonApi, notify: Callable[[Message], None]) -> None:
        self._api = api
        self._notify = notify

    @override
    async def page(self, before: int | None, limit: int, wanted: LogFilter) -> tuple[list[Json], int | None]:
        query = [("limit", str(limit)), *filter_query(wanted)]
        answer = await self._api.get("/api/log", query if before is None else [("before", str(before)), *query])
        return answer["entries"], answer["next"]

    @override
    async def follow(self, cursor: int, wanted: LogFilter) -> AsyncGenerator[Json, None]:
        """Reconnect to a daemon that stopped answering, and continue after the last number."""
        tries, away = 0, False
        while True:
            opened = time.monotonic()
            try:
                async with aclosing(self._api.blocks(cursor, wanted)) as blocks:
                    async for block in blocks:
                        away = away and self._notify_back()
                        entry, cursor = _next(block, cursor)
                        if entry is not None:
                            yield entry
            except DaemonError as error:
                away = away or self._notify_away(error)
            tries = 0 if time.monotonic() - opened > STABLE_S else tries + 1
            await asyncio.sleep(backoff(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S, random.random))

    def _notify_away(self, error: DaemonError) -> bool:
        """Return True after a notification. Raises the error if waiting would not help."""
        if isinstance(error, DaemonRefusedError) and error.status < SERVER_ERROR:
            raise error
        self._notify(message("cli.waiting", cause=error.message))
        return True

    def _notify_back(self) -> bool:
        self._notify(message("cli.back"))
        return False


def _next(block: Block, cursor: int) -> tuple[Json | None, int]:
    """Return a block's entry if it is new, and the number reached.

    A block with only a number opens the stream. A lower number than ours means that the journal was replaced.
    """
    if not block.data:
        return None, block.id if block.id is not None else cursor
    if block.event == "progress" or (block.id is not None and block.id <= cursor):
        return None, cursor
    entry = orjson.loads(block.data)
    entry.pop("view", None)
    return entry, block.id if block.id is not None else cursor


def _epoch(entry: Json) -> float:
    return datetime.fromisoformat(entry["at"]).timestamp()
