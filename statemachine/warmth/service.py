"""Reads the journal as it grows, and answers how warm the fleet is.

The loop is never held for long: entries are read by small pages, and servers are added up in slices. Between two pages
the journal's one thread gets round to writing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from loguru import logger

from statemachine.journal.port import JournalPort, JournalUnavailableError
from statemachine.publish.snapshot import Snapshot
from statemachine.warmth.history import Book
from statemachine.warmth.stats import HOUR_S, WINDOWS, Moments, Scope, Totals, scope_of

PAGE = 250
"""Entries a read."""

SLICE = 50
"""Servers added up, or old entries looked for, before others have their turn."""

FOLLOW_S = 5.0
"""Between two looks at the journal, and between two signs of life in it."""

FRESH_S = 5.0
"""How old figures may be that are given again."""

PATIENCE_S = 2.0
"""How long one who asks waits for the journal to be read."""

MEMORY_S = max(WINDOWS.values()) + HOUR_S
"""What is older is forgotten. The hour is for entries that are younger than the moment for which somebody sums up."""


class WarmthUnknownError(Exception):
    """The journal has not been read to its end yet."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The figures of the fleet and of its groups. `moments` are those between which they were summed up."""

    moments: Moments
    fleet: Scope
    groups: Mapping[str, Scope]


class Warmth:
    """`now` gives epoch seconds. All methods are called on the loop."""

    def __init__(
        self, journal: JournalPort, snapshot: Snapshot, now: Callable[[], float], *, fresh_s: float = FRESH_S
    ) -> None:
        self._journal = journal
        self._snapshot = snapshot
        self._now = now
        self._fresh_s = fresh_s
        self._book = Book()
        self._reading = asyncio.Lock()
        self._summing = asyncio.Lock()
        self._known_until: float | None = None
        self._newest: Survey | None = None
        self._forgot_at = now()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the journal in the background, and leave signs of life in it, the last one at the end."""
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._beat()

    async def _follow(self) -> None:
        while True:
            try:
                await self._beat()
                with suppress(JournalUnavailableError):
                    await self.catch_up()
                await self._forget_at_times()
            except Exception:
                logger.exception("following the journal failed; it is tried again")
            await asyncio.sleep(FOLLOW_S)

    async def _beat(self) -> None:
        with suppress(JournalUnavailableError):
            await self._journal.file.heartbeat(self._now())

    async def catch_up(self) -> None:
        """Read the journal to its present end. JournalUnavailableError where it cannot be read.

        While it cannot be written, what happens waits elsewhere, and so nothing is known of the present.
        """
        async with self._reading:
            while True:
                began = self._now()
                page, runs = await self._journal.file.page_and_runs(self._book.cursor, PAGE, self._book.newest_life)
                self._book.learn_lives(runs)
                for entry in page.entries:
                    self._book.take(entry)
                if not page.more:
                    break
            self._book.has_all()
            if self._journal.healthy:
                self._known_until = began

    async def survey(self) -> Survey:
        """Fleet and groups, at most `fresh_s` old. WarmthUnknownError where the journal is not read yet."""
        if self._newest is not None and self._is_fresh(self._newest, self._now()):
            return self._newest
        at = await self._until()
        async with self._summing:
            if self._newest is None or not self._is_fresh(self._newest, at):
                self._newest = await self._sum_up(Moments(at))
            return self._newest

    def _is_fresh(self, survey: Survey, at: float) -> bool:
        return 0 <= at - survey.moments.now < self._fresh_s

    def server(self, name: str, moments: Moments) -> Scope:
        """The figures of one server at the moments of a survey; empty ones where nothing is known of it."""
        known = self._book.server(name)
        return scope_of([known] if known else [], moments)

    async def _until(self) -> float:
        """Up to when all is known, which is now unless the journal cannot be used or the reading takes too long."""
        with suppress(JournalUnavailableError, TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self.catch_up()
        if self._known_until is None:
            raise WarmthUnknownError("the journal has not been read to its end yet")
        return self._known_until

    async def _sum_up(self, moments: Moments) -> Survey:
        groups: dict[str, Totals] = {}
        for number, view in enumerate(self._snapshot, start=1):
            if view.group not in groups:
                groups[view.group] = Totals(moments)
            known = self._book.server(view.name)
            if known is not None:
                groups[view.group].add(known)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        fleet, scopes = Totals(moments), {}
        for name, totals in groups.items():
            fleet.merge(totals)
            scopes[name] = totals.scope()
            await asyncio.sleep(0)
        return Survey(moments, fleet.scope(), scopes)

    async def _forget_at_times(self) -> None:
        """Once an hour, and not at the start, when the fleet may not be there yet."""
        if 0 <= self._now() - self._forgot_at < HOUR_S:
            return
        self._forgot_at = self._now()
        present = {view.name for view in self._snapshot}
        for number, _ in enumerate(self._book.forget(self._now() - MEMORY_S, present), start=1):
            if number % SLICE == 0:
                await asyncio.sleep(0)
