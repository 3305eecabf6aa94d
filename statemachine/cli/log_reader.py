"""Where `tail` reads the event log: the running daemon or, without one, the journal's file.

Both are read backwards in pages, and then followed from the last number given, without gap and without repeat.
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

from statemachine.cli.api_client import Block, DaemonApi, DaemonError, DaemonSaidNoError, Json, filter_query
from statemachine.core.backoff import backoff
from statemachine.core.log_entry import EVERYTHING, LogFilter
from statemachine.core.messages import Message, message
from statemachine.journal.store import JournalStore
from statemachine.publish.serialize import log_entry

PAGE = 500
POLL_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
STABLE_S = 5.0
"""So long a stream must have lasted before the pauses begin anew: one that ends at once is not dialled for ever."""
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: the newest `count` (None: no limit) that the filter wants, not before `since` (epoch seconds)."""

    count: int | None
    since: float | None
    filter: LogFilter

    def recent(self, entries: list[Json]) -> list[Json]:
        """Those of the entries, newest first, that come before the first that is too old."""
        since = self.since
        return entries if since is None else list(takewhile(lambda entry: _epoch(entry) >= since, entries))


class LogSource(Protocol):
    """One of the two."""

    async def page(self, before: int | None, limit: int, wanted: LogFilter) -> tuple[list[Json], int | None]:
        """The newest wanted entries with a lower number, newest first, and where to go on; None at the end."""
        ...

    def follow(self, cursor: int, wanted: LogFilter) -> AsyncGenerator[Json, None]:
        """What comes after that number, for ever."""
        ...


async def newest_number(source: LogSource) -> int:
    """Of the whole log; 0 where it is empty."""
    entries, _ = await source.page(None, 1, EVERYTHING)
    return int(entries[0]["id"]) if entries else 0


async def newest(source: LogSource, wanted: Wanted, head: int) -> AsyncIterator[Json]:
    """The wanted entries up to the number `head`, oldest first.

    How far back they go is found out first, and each page is asked for again then: a year of entries need not be held.
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


class FileLog:
    """The journal's file, which a daemon may be writing at the same time. Raises sqlite3.Error where it is none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store, self._inode = self._open()

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def has_server(self, name: str) -> bool:
        """Whether the log has any entry of that server."""
        return self._store.has_server(name)

    async def page(self, before: int | None, limit: int, wanted: LogFilter) -> tuple[list[Json], int | None]:
        """See LogSource."""
        page = self._store.page_before(self._store.last_seq() + 1 if before is None else before, limit, wanted)
        return [log_entry(entry) for entry in page.entries], page.reached if page.more else None

    async def follow(self, cursor: int, wanted: LogFilter) -> AsyncGenerator[Json, None]:
        """See LogSource. Looks twice a second, also whether another file has taken this one's place."""
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
        """Go over to a new file, once it can be read: its numbers may be higher, or begin again at one."""
        with suppress(OSError, sqlite3.Error):
            if self._path.stat().st_ino != self._inode:
                store, inode = self._open()
                last = store.last_seq()
                self._store.close()
                self._store, self._inode = store, inode
                return cursor if last >= cursor else 0
        return cursor


class DaemonLog:
    """The daemon's log and stream. `tell` hears when the daemon goes away and when it is back."""

    def __init__(self, api: DaemonApi, tell: Callable[[Message], None]) -> None:
        self._api = api
        self._tell = tell

    async def page(self, before: int | None, limit: int, wanted: LogFilter) -> tuple[list[Json], int | None]:
        """See LogSource."""
        query = [("limit", str(limit)), *filter_query(wanted)]
        answer = await self._api.get("/api/log", query if before is None else [("before", str(before)), *query])
        return answer["entries"], answer["next"]

    async def follow(self, cursor: int, wanted: LogFilter) -> AsyncGenerator[Json, None]:
        """See LogSource. Comes back to a daemon that went away, with the last number that was given."""
        tries, away = 0, False
        while True:
            opened = time.monotonic()
            try:
                async with aclosing(self._api.blocks(cursor, wanted)) as blocks:
                    async for block in blocks:
                        away = away and self._tell_back()
                        entry, cursor = _next(block, cursor)
                        if entry is not None:
                            yield entry
            except DaemonError as error:
                away = away or self._tell_away(error)
            tries = 0 if time.monotonic() - opened > STABLE_S else tries + 1
            await asyncio.sleep(backoff(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S, random.random))

    def _tell_away(self, error: DaemonError) -> bool:
        """True: it is away. Raises where waiting would not help."""
        if isinstance(error, DaemonSaidNoError) and error.status < SERVER_ERROR:
            raise error
        self._tell(message("cli.waiting", cause=error.message))
        return True

    def _tell_back(self) -> bool:
        self._tell(message("cli.back"))
        return False


def _next(block: Block, cursor: int) -> tuple[Json | None, int]:
    """The entry that a block brings, if it is new, and the number reached.

    A block with only a number opens the stream: a lower one than ours means that the journal is another one now.
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
