"""Follow the journal as it grows, and compute how warm the fleet is.

Entries are read in small pages, so that the journal's thread can write in between, and servers are added up in slices,
so that the event loop is not blocked.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from loguru import logger

from statemachine.journal.port import JournalPort, JournalUnavailableError
from statemachine.publish.snapshot import Snapshot
from statemachine.warmth.history import WarmthHistory
from statemachine.warmth.stats import HOUR_S, WINDOWS, Moments, Scope, Totals, scope_of

PAGE_ENTRIES = 250

YIELD_EVERY = 50
"""Number of servers that are added up or pruned before other tasks may run."""

FOLLOW_S = 5.0
"""Interval between reads of the journal, and between heartbeats."""

MAX_AGE_S = 5.0
"""Age at which figures are computed again."""

READ_TIMEOUT_S = 2.0
"""How long a request waits for the journal to be read."""

RETENTION_S = max(WINDOWS.values()) + HOUR_S
"""The additional hour covers surveys of a time before the newest entry."""


class WarmthUnknownError(Exception):
    """Raised while the journal has not been read to its end yet."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The figures of the fleet and its groups, and the bounds of their windows."""

    moments: Moments
    fleet: Scope
    groups: Mapping[str, Scope]


class Warmth:
    """Call all methods on the event loop. `now` returns epoch seconds."""

    def __init__(
        self, journal: JournalPort, snapshot: Snapshot, now: Callable[[], float], *, max_age_s: float = MAX_AGE_S
    ) -> None:
        self._journal = journal
        self._snapshot = snapshot
        self._now = now
        self._max_age_s = max_age_s
        self._history = WarmthHistory()
        self._read_lock = asyncio.Lock()
        self._survey_lock = asyncio.Lock()
        self._known_until: float | None = None
        self._survey: Survey | None = None
        self._pruned_at = now()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follow the journal and write heartbeats to it within the block; write the last one at the end."""
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._heartbeat()

    async def _follow(self) -> None:
        while True:
            try:
                await self._heartbeat()
                with suppress(JournalUnavailableError):
                    await self.catch_up()
                await self._prune_hourly()
            except Exception:
                logger.exception("failed to follow the journal; trying again")
            await asyncio.sleep(FOLLOW_S)

    async def _heartbeat(self) -> None:
        with suppress(JournalUnavailableError):
            await self._journal.file.heartbeat(self._now())

    async def catch_up(self) -> None:
        """Read the journal to its present end. Raise JournalUnavailableError if it cannot be read.

        While the journal cannot be written, it lacks the newest entries, so the figures do not reach the present.
        """
        async with self._read_lock:
            while True:
                began = self._now()
                page, runs = await self._journal.file.page_and_runs(
                    self._history.cursor, PAGE_ENTRIES, self._history.newest_run
                )
                self._history.add_runs(runs)
                for entry in page.entries:
                    self._history.add(entry)
                if not page.more:
                    break
            self._history.start_known_runs()
            if self._journal.healthy:
                self._known_until = began

    async def survey(self) -> Survey:
        """Return figures at most `max_age_s` old. Raise WarmthUnknownError while the journal is not read yet."""
        if self._survey is not None and self._is_fresh(self._survey, self._now()):
            return self._survey
        at = await self._read_until()
        async with self._survey_lock:
            if self._survey is None or not self._is_fresh(self._survey, at):
                self._survey = await self._compute(Moments(at))
            return self._survey

    def _is_fresh(self, survey: Survey, at: float) -> bool:
        return 0 <= at - survey.moments.now < self._max_age_s

    async def moments(self) -> Moments:
        """Return the bounds of windows that end now. Raise WarmthUnknownError while the journal is not read yet."""
        return Moments(await self._read_until())

    def server(self, name: str, moments: Moments) -> Scope:
        """Return the figures of one server in these windows; empty figures for an unknown server."""
        known = self._history.server(name)
        return scope_of([known] if known else [], moments)

    async def _read_until(self) -> float:
        """Return the time up to which the journal is known: now, unless it cannot be used or is slow."""
        with suppress(JournalUnavailableError, TimeoutError):
            async with asyncio.timeout(READ_TIMEOUT_S):
                await self.catch_up()
        if self._known_until is None:
            raise WarmthUnknownError("the journal has not been read to its end yet")
        return self._known_until

    async def _compute(self, moments: Moments) -> Survey:
        groups: dict[str, Totals] = {}
        for number, view in enumerate(self._snapshot, start=1):
            if view.group not in groups:
                groups[view.group] = Totals(moments)
            known = self._history.server(view.name)
            if known is not None:
                groups[view.group].add(known)
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        fleet, scopes = Totals(moments), {}
        for name, totals in groups.items():
            fleet.merge(totals)
            scopes[name] = totals.scope()
            await asyncio.sleep(0)
        return Survey(moments, fleet.scope(), scopes)

    async def _prune_hourly(self) -> None:
        """Prune once an hour, but not at the start, when the fleet may still be missing from the snapshot."""
        if 0 <= self._now() - self._pruned_at < HOUR_S:
            return
        self._pruned_at = self._now()
        present = {view.name for view in self._snapshot}
        for number, _ in enumerate(self._history.prune(self._now() - RETENTION_S, present), start=1):
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
