"""`python -m campaigns.soak.virtual`: a month of the daemon over faulty servers, in minutes.

It is a large and long simulation: the real fleet, state machine, journal and client in virtual time with all
invariants. It exits with 0 if nothing grows and no invariant is violated.

The simulation bounds its own state, so that any growth is the daemon's.
"""

import argparse
import asyncio
import gc
import os
import sqlite3
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from random import Random
from statistics import median

from typing_extensions import override

from campaigns.simulation.actions import Actions
from campaigns.simulation.daemon import Parts
from campaigns.simulation.disk import Disk, InlineRunner
from campaigns.simulation.faults import ACTION_WEIGHTS, Fault, Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.network import LATE_S
from campaigns.simulation.run import fail_on_logged_errors, scratch_folder
from campaigns.simulation.scenario import Plan, Scenario
from campaigns.simulation.simulation import TAIL, Result, Simulation
from campaigns.soak.samples import Row, Sample, descriptors, quarters, resident_mib
from statemachine.core.server import ServerView
from statemachine.daemon.app import PRUNE_EVERY_S
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalUnavailableError, OnCommitted, OnHealth
from statemachine.journal.store import JournalStore
from statemachine.settings import Settings
from statemachine.simulator.profiles import PROFILES

HASH_SEED = "PYTHONHASHSEED"
MIB = 1024 * 1024
HOUR_S, DAY_S = 3600.0, 86_400.0
LEAST_SAMPLES = 8
SERVERS_PER_HOST = 4
KEEP = 100_000
ENTRIES_PER_HOUR = 2_000
"""Allowed surplus of rows: the entries of one busy hour, because pruning runs once an hour."""
QUALITY = 0.1
ACTION_EVERY_S = 8_000.0
"""Mean interval of the actions on one server."""
CRASHES_PER_DAY = 2.0
RECENT_PROMPTS = 10
MIX = {
    "loaded": 6, "cold": 8, "auto_executing": 6, "inspire": 4, "slow": 2, "trapped": 2, "raising": 0.5,
    "out_of_memory": 0.5, "refusing": 0.5, "missing_nodes": 0.5, "missing_models": 0.5, "unrecognisable": 0.5,
    "stalling": 0.5,
}  # fmt: skip
"""Profiles and their weights. A server that cannot become warm costs an attempt per `failed_retry_s`."""
TIMING = {
    "check_interval_s": 1800, "auto_recheck_s": 5, "http_timeout_s": 10, "busy_wait_s": 120, "warm_timeout_s": 300,
    "failed_retry_s": 14_400, "lost_grace_s": LATE_S + 3,
}  # fmt: skip


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
            self._rng("deeds"),
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


def scenario_of(seed: int, servers: int, days: float, keep: int = KEEP) -> Scenario:
    """Return the scenario of these arguments."""
    rng = Random(f"{seed}/soak")
    names = rng.choices(list(MIX), list(MIX.values()), k=servers)
    plans = tuple(
        Plan(
            host=f"127.0.1.{1 + index // SERVERS_PER_HOST}",
            port=8188 + index % SERVERS_PER_HOST,
            profile=replace(PROFILES[name], http_delay=0.0),
            workflows=("cache_models",),
            quality=QUALITY,
        )
        for index, name in enumerate(names)
    )
    return Scenario(plans, _settings(plans, keep), days * DAY_S, HOUR_S, ACTION_EVERY_S / servers)


def _settings(plans: Sequence[Plan], keep: int) -> Settings:
    kinds = {True: "text", False: "auto"}
    return Settings.model_validate({
        "servers": [
            {
                "url": f"http://{plan.name}",
                "workflows": list(plan.workflows),
                "cache_check": {"kind": kinds[plan.profile.name == "unrecognisable"]},
            }
            for plan in plans
        ],
        "timing": TIMING,
        "journal": {"max_transitions": keep},
    })  # fmt: skip


def run(
    seed: int, servers: int, days: float, on_sample: Callable[[VirtualSample], None], keep: int = KEEP
) -> tuple[Result, list[VirtualSample]]:
    """Run the soak. With the same PYTHONHASHSEED only the resource figures differ between runs."""
    every_s = min(DAY_S, days * DAY_S / LEAST_SAMPLES)
    with (
        tempfile.TemporaryDirectory(dir=scratch_folder()) as folder,
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        simulation = SoakSimulation(seed, Path(folder), scenario_of(seed, servers, days, keep), every_s, on_sample)
        with fail_on_logged_errors(simulation):
            gc.enable()
            runner.run(simulation.run())
        return simulation.result(runner.get_loop().time()), simulation.samples


def compare(samples: Sequence[VirtualSample]) -> list[Row]:
    """Compare the medians of the first and the last quarter; more than a tenth is growth."""
    first, last = quarters(samples)
    figures: dict[str, Callable[[Sample], float]] = {
        "RSS MiB": lambda one: one.rss_mib,
        "descriptors": lambda one: one.descriptors,
        "asyncio tasks": lambda one: one.tasks or 0,
        "gc objects": lambda one: one.objects if isinstance(one, VirtualSample) else 0,
    }
    return [Row(name, median(map(value, first)), median(map(value, last)), 0.10) for name, value in figures.items()]


def main() -> int:
    """Run the soak, print the samples and compare them."""
    if os.environ.get(HASH_SEED) != "0":
        command = [sys.executable, "-m", "campaigns.soak.virtual", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, HASH_SEED: "0"})
    parser = argparse.ArgumentParser(prog="python -m campaigns.soak.virtual", description=__doc__)
    parser.add_argument("--servers", type=int, default=200, help="number of simulated servers")
    parser.add_argument("--days", type=float, default=30.0, help="duration in virtual time")
    parser.add_argument("--seed", type=int, default=1, help="seed of the servers and the faults")
    options = parser.parse_args()
    started = time.monotonic()
    result, samples = run(
        options.seed, options.servers, options.days, lambda one: print(one.line(time.monotonic() - started), flush=True)
    )
    print(f"{options.servers} servers, {options.days:g} virtual days; medians of the quarters")
    return report(result, samples)


def report(result: Result, samples: Sequence[VirtualSample]) -> int:
    """Print the result; return the exit status."""
    rows = compare(samples) if len(samples) >= LEAST_SAMPLES else []
    print("\n".join(map(str, rows)))
    print(f"growth: {', '.join(row.name for row in rows if row.grows) or 'none'}")
    print(f"warm-ups: {result.warm_ups:,}; faults: {sum(result.faults.values()):,} ({_counts(result.faults)})")
    print(f"violations: {result.violation or 'none'}; CPU: {time.process_time():.0f} s")
    if result.violation:
        print("\n".join(result.trace))
    return 1 if result.violation or not rows or any(row.grows for row in rows) else 0


def _counts(faults: Counter[StrEnum]) -> str:
    return ", ".join(f"{fault.value} {count:,}" for fault, count in faults.most_common())


if __name__ == "__main__":
    sys.exit(main())
