"""Where `tail` reads the event log: the running daemon's stream or, without one, the journal's file.

Both give the newest entries, and then what follows the last number given, without gap and without repeat.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import orjson

from statemachine.cli.daemon_api import DaemonApi, DaemonAwayError, DaemonError, DaemonSaidNoError, Json, server_path
from statemachine.cli.sse import Block
from statemachine.core.backoff import backoff
from statemachine.journal.store import JournalStore
from statemachine.publish.render import log_entry

PAGE = 500
POLL_S = 0.5
FIRST_SPAN = 400
SPAN_GROWTH = 8
QUIET_S = 5.0
"""A replay that stands still for so long is over: its last entry may have been pruned meanwhile."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
STABLE_S = 5.0
"""So long a stream must have lasted before the pauses begin anew: one that ends at once is not dialled for ever."""
SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: the newest `count` (None: no limit), not before `since` (epoch seconds), of one server or all."""

    count: int | None
    since: float | None
    server: str | None

    def newest(self, entries: list[Json]) -> list[Json]:
        """Those of the entries, oldest first, that are wanted."""
        recent = [entry for entry in entries if self.since is None or _epoch(entry) >= self.since]
        return recent if self.count is None else recent[len(recent) - min(self.count, len(recent)) :]

    def is_satisfied_by(self, entries: list[Json]) -> bool:
        """Whether entries before these would not be wanted any more."""
        if self.count is not None and len(self.newest(entries)) >= self.count:
            return True
        return self.since is not None and bool(entries) and _epoch(entries[0]) < self.since


class LogSource(Protocol):
    """One of the two."""

    async def newest(self, wanted: Wanted) -> tuple[list[Json], int]:
        """The wanted entries, oldest first, and the number after which to follow."""
        ...

    def follow(self, cursor: int, server: str | None) -> AsyncGenerator[Json, None]:
        """What comes after that number, for ever."""
        ...


class FileLog:
    """The journal's file, which a daemon may be writing at the same time."""

    def __init__(self, store: JournalStore) -> None:
        self._store = store

    async def newest(self, wanted: Wanted) -> tuple[list[Json], int]:
        """See LogSource."""
        cursor = self._store.last_seq()
        limit = -1 if wanted.count is None else wanted.count
        entries = self._store.newest_entries(limit, wanted.server, wanted.since or 0.0)
        return [log_entry(entry) for entry in reversed(entries) if (entry.seq or 0) <= cursor], cursor

    async def follow(self, cursor: int, server: str | None) -> AsyncGenerator[Json, None]:
        """See LogSource. Looks twice a second."""
        while True:
            entries = self._store.entries(cursor, PAGE, server)
            for entry in entries:
                cursor = entry.seq or cursor
                yield log_entry(entry)
            if len(entries) < PAGE:
                await asyncio.sleep(POLL_S)


class DaemonLog:
    """The daemon's stream. `tell` hears when the daemon goes away and when it is back."""

    def __init__(self, api: DaemonApi, tell: Callable[[str], None]) -> None:
        self._api = api
        self._tell = tell

    async def newest(self, wanted: Wanted) -> tuple[list[Json], int]:
        """See LogSource. Goes back in growing spans, so that a long journal is not sent for a few lines."""
        head = await self._newest_number(wanted.server)
        span = max(FIRST_SPAN, wanted.count or 0)
        while True:
            start = max(0, head - span)
            entries = await self._replay(start, head, wanted.server)
            if start == 0 or wanted.is_satisfied_by(entries):
                return wanted.newest(entries), head
            span *= SPAN_GROWTH

    async def follow(self, cursor: int, server: str | None) -> AsyncGenerator[Json, None]:
        """See LogSource. Comes back to a daemon that went away, with the last number that was given."""
        tries, away = 0, False
        while True:
            opened = time.monotonic()
            try:
                async with aclosing(self._api.blocks(cursor, server)) as blocks:
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
        self._tell(f"{error}; waiting for it")
        return True

    def _tell_back(self) -> bool:
        self._tell("the daemon is back")
        return False

    async def _newest_number(self, server: str | None) -> int:
        """Of the whole log, or of one server's entries; 0 where there are none."""
        if server is not None:
            entries = (await self._api.get(server_path(server)))["transitions"]
            return int(entries[0]["id"]) if entries else 0
        async with aclosing(self._api.blocks(None, None)) as blocks:
            async for block in blocks:
                if block.id is not None:
                    return block.id
        raise DaemonAwayError("the daemon's stream does not say where it begins")

    async def _replay(self, start: int, head: int, server: str | None) -> list[Json]:
        """The entries after `start` up to `head`."""
        entries: list[Json] = []
        async with aclosing(self._api.blocks(start, server)) as blocks:
            while start < head:
                try:
                    block = await asyncio.wait_for(anext(blocks), QUIET_S)
                except TimeoutError:
                    break
                if block.data and block.id is None:
                    break  # without a number it is live: the replay is over
                entry, start = _next(block, start)
                if entry is not None and start <= head:
                    entries.append(entry)
        return entries


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
