"""A long simulation that bounds its own state, so that any growth is the daemon's, and takes samples of it."""

import asyncio
import gc
import os
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from typing_extensions import override

from campaigns.simulation.actions import Actions
from campaigns.simulation.daemon import Parts
from campaigns.simulation.disk import Disk, InlineRunner
from campaigns.simulation.faults import ACTION_WEIGHTS, Fault, Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.plans import Plan
from campaigns.simulation.scenario import Scenario
from campaigns.simulation.simulation import TAIL, Simulation
from campaigns.soak.samples import Sample, descriptors, resident_mib
from statemachine.core.server import ServerView
from statemachine.daemon.upkeep import PRUNE_EVERY_S
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalUnavailableError, OnCommitted, OnHealth
from statemachine.journal.store import JournalStore

MIB = 1024 * 1024
HOUR_S, DAY_S = 3600.0, 86_400.0
ENTRIES_PER_HOUR = 2_000
"""Allowed surplus of rows: the entries of one busy hour, because pruning runs once an hour."""
CRASHES_PER_DAY = 2.0
RECENT_PROMPTS = 10


@dataclass(frozen=True)
class VirtualSample(Sample):
    """`at_s` is virtual; `rows` counts the journal's log."""

    objects: int
    rows: int

    def line(self, seconds: float) -> str:
        """Return a line of text; `seconds` is real time since the start."""
        return (
            f"day {self.at_s / DAY_S:5.2f}: {self.rss_mib:6.1f} MiB, {self.tasks} tasks, {self.descriptors} "
            f"descriptors, {self.objects} objects, {self.rows} rows of {self.entries} entries; after {seconds:.0f} s"
        )


class AllFaults(Faults):
    """Every kind of fault at its ordinary rate, with few crashes because each costs a restart."""

    def __init__(self, rng: Random, crash_share: float) -> None:
        super().__init__(rng)
        self._scale = dict.fromkeys(Fault, 1.0)
        others = sum(ACTION_WEIGHTS.values()) - ACTION_WEIGHTS[Fault.CRASH]
        self._scale[Fault.CRASH] = crash_share * others / ACTION_WEIGHTS[Fault.CRASH]


class LongInvariants(Invariants):
    """Invariants that keep the ids of two days only."""

    _old: tuple[frozenset[str], ...] = (frozenset(), frozenset(), frozenset())

    def forget(self) -> None:
        """Drop old ids, once a day. An id that is reused within a day is still detected."""
        remembered = (self._committed, self._posted, self._client_ids)
        for ids, old in zip(remembered, self._old, strict=True):
            ids.difference_update(old)
        self._old = tuple(map(frozenset, remembered))
        self.published.clear()
        for ledger in self.ledgers.values():
            ledger.confirmed = {ledger.prompt: ledger.confirmed.get(ledger.prompt, set())}
            ledger.ended &= {ledger.prompt}


class LongActions(Actions):
    """Actions that can drop finished tasks."""

    def forget(self) -> None:
        """Drop the finished tasks."""
        self._running = [task for task in self._running if not task.done()]


class SoakSimulation(Simulation):
    """A simulation that takes samples and passes each to `on_sample`."""

    def __init__(
        self, seed: int, folder: Path, scenario: Scenario, every_s: float, on_sample: Callable[[VirtualSample], None]
    ) -> None:
        super().__init__(seed, folder, Parts(journal=self._new_journal), (), keep=TAIL)
        self._scenario, self._every_s, self._on_sample = scenario, every_s, on_sample
        self._faults = AllFaults(self._rng("faults"), CRASHES_PER_DAY * scenario.actions_every_s / DAY_S)
        self._invariants: LongInvariants = LongInvariants(scenario.settings, self.fail, self.note)
        self.disk = Disk(folder / "journal.sqlite3", self._rng("disk"), self._invariants)
        self._actions: LongActions = LongActions(
            # The name seeds the stream: with another one the seeds of known violations would change.
            self,
            self._faults,
            self._rng("actions"),
            scenario.actions_every_s,
            self.note,
        )
        self.samples: list[VirtualSample] = []

    def _new_journal(
        self, open_store: Callable[[], JournalStore], run: InlineRunner, on_committed: OnCommitted, on_health: OnHealth
    ) -> Journal[ServerView]:
        journal = Journal[ServerView](open_store, run, on_committed, on_health)
        self.spawn(self._prune(journal))
        return journal

    async def _prune(self, journal: Journal[ServerView]) -> None:
        """Prune the journal as the daemon does; a crash of the daemon ends it at the next call."""
        bounds = self._scenario.settings.journal
        while True:
            await asyncio.sleep(1.0)
            with suppress(JournalUnavailableError):
                await journal.file.prune(self._now() - bounds.max_age_days * DAY_S, keep=bounds.max_transitions)
            await asyncio.sleep(PRUNE_EVERY_S)

    @override
    async def _set_up(self, plan: Plan) -> None:
        await super()._set_up(plan)
        self.wires[plan.name].server.log = deque(maxlen=RECENT_PROMPTS)

    @override
    async def _run_scenario(self) -> None:
        watching = asyncio.create_task(self._watch())
        try:
            await super()._run_scenario()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < self._scenario.adverse_s:
            await asyncio.sleep(self._every_s)
            self._check_journal()
            self._actions.forget()
            self._invariants.forget()
            sample = self._sample()
            self.samples.append(sample)
            self._on_sample(sample)
            if sample.rows > self._keep + ENTRIES_PER_HOUR + len(self.wires):
                self.fail("-", f"journal size: {sample.rows} rows, but it should keep {self._keep}")

    def _sample(self) -> VirtualSample:
        gc.collect()
        folder = self.disk.path.parent
        with closing(sqlite3.connect(self.disk.path)) as file:
            (rows,) = file.execute("SELECT count(*) FROM log").fetchone()
        return VirtualSample(
            at_s=asyncio.get_running_loop().time(),
            rss_mib=resident_mib(os.getpid()),
            descriptors=descriptors(os.getpid()),
            tasks=len(asyncio.all_tasks()),
            entries=self._invariants.last_seq,
            journal_mib=sum(path.stat().st_size for path in folder.iterdir()) / MIB,
            objects=len(gc.get_objects()),
            rows=rows,
        )

    @override
    def _check_journal(self) -> None:
        """Check the newest `keep` entries only; older ones may be pruned."""
        last = self._invariants.last_seq
        published = {seq: entry for seq, entry in self._invariants.published.items() if seq > last - self._keep}
        first = min(published, default=last + 1)
        with closing(sqlite3.connect(self.disk.path)) as file:
            query = "SELECT seq, server, dest FROM log WHERE seq >= ? ORDER BY seq"
            kept = {seq: (server, dest) for seq, server, dest in file.execute(query, (first,))}
        if list(kept) != list(range(first, last + 1)):
            self.fail("-", "log ids: the file has gaps")
        if not published.items() <= kept.items():
            self.fail("-", "log ids: a published entry is not in the file")

    @property
    def _keep(self) -> int:
        return self._scenario.settings.journal.max_transitions
