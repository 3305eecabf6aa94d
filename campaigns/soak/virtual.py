"""`python -m campaigns.soak.virtual`: a month of the daemon over hundreds of restless servers, in minutes.

It is the simulation's world, made large and long: the real fleet, runners, machine, journal and client in virtual time,
judged by the same rules all along. Exit 0 where nothing grows and no rule is broken.

What the test itself remembers is kept bounded, so that growth is the daemon's own.
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
from campaigns.simulation.disk import Disk, InLoop
from campaigns.simulation.faults import ACTION_WEIGHTS, Fault, Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.network import LATE_S
from campaigns.simulation.scenario import Plan, Scenario
from campaigns.simulation.world import TAIL, Result, SimWorld, _loud_faults, _quick_place
from campaigns.soak.samples import Row, Sample, descriptors, quarters, resident_mib
from statemachine.core.view import ServerView
from statemachine.daemon.app import PRUNE_EVERY_S
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalUnavailableError, OnCommitted, OnHealth
from statemachine.journal.store import JournalStore
from statemachine.settings import Settings
from statemachine.simulator.profiles import PERSONAS

HASH_SEED = "PYTHONHASHSEED"
MIB = 1024 * 1024
HOUR_S, DAY_S = 3600.0, 86_400.0
LEAST_SAMPLES = 8
SERVERS_ON_A_HOST = 4
KEEP = 100_000
HOURS_ENTRIES = 2_000
"""Entries of one busy hour: so many more than are to be kept may be there, as pruning comes once an hour."""
QUALITY = 0.1
ACTION_EVERY_S = 8_000.0
"""For each server, in the mean."""
CRASHES_A_DAY = 2.0
RECENT_PROMPTS = 10
MIX = {
    "loaded": 6, "cold": 8, "auto_executing": 6, "inspire": 4, "slow": 2, "trapped": 2, "raising": 0.5,
    "out_of_memory": 0.5, "refusing": 0.5, "missing_nodes": 0.5, "missing_models": 0.5, "unrecognisable": 0.5,
    "stalling": 0.5,
}  # fmt: skip
"""Personas and their weights. A server that can never be warm costs an attempt every `failed_retry_s`."""
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
        """For people; `seconds` is real time since the start."""
        return (
            f"day {self.at_s / DAY_S:5.2f}: {self.rss_mib:6.1f} MiB, {self.tasks} tasks, {self.descriptors} "
            f"descriptors, {self.objects} objects, {self.rows} rows of {self.entries} entries; after {seconds:.0f} s"
        )


class AllFaults(Faults):
    """Every kind at its ordinary rate, but crashes, each of which costs a whole start, now and then."""

    def __init__(self, rng: Random, crash_share: float) -> None:
        super().__init__(rng)
        self._scale = dict.fromkeys(Fault, 1.0)
        others = sum(ACTION_WEIGHTS.values()) - ACTION_WEIGHTS[Fault.CRASH]
        self._scale[Fault.CRASH] = crash_share * others / ACTION_WEIGHTS[Fault.CRASH]


class LongInvariants(Invariants):
    """Forgets what is older than a day or two."""

    _old: tuple[frozenset[str], ...] = (frozenset(), frozenset(), frozenset())

    def forget(self) -> None:
        """Once a day. A prompt or client id that comes again within a day is still found out."""
        remembered = (self._committed, self._posted, self._client_ids)
        for ids, old in zip(remembered, self._old, strict=True):
            ids.difference_update(old)
        self._old = tuple(map(frozenset, remembered))
        self.told.clear()
        for ledger in self.ledgers.values():
            ledger.proofs = {ledger.prompt: ledger.proofs.get(ledger.prompt, set())}
            ledger.ended &= {ledger.prompt}


class LongActions(Actions):
    """Forgets what has ended."""

    def forget(self) -> None:
        """At any time."""
        self._lasting = [task for task in self._lasting if not task.done()]


class VirtualWorld(SimWorld):
    """`tell` hears of every sample."""

    def __init__(
        self, seed: int, folder: Path, scenario: Scenario, every_s: float, tell: Callable[[VirtualSample], None]
    ) -> None:
        super().__init__(seed, folder, Parts(journal=self._new_journal), (), keep=TAIL)
        self._scenario, self._every_s, self._tell = scenario, every_s, tell
        self._faults = AllFaults(self._rng("faults"), CRASHES_A_DAY * scenario.actions_every_s / DAY_S)
        self._invariants: LongInvariants = LongInvariants(scenario.settings, self.accuse, self.note)
        self.disk = Disk(folder / "journal.sqlite3", self._rng("disk"), self._invariants)
        self._actions: LongActions = LongActions(
            self, self._faults, self._rng("deeds"), scenario.actions_every_s, self.note
        )
        self.samples: list[VirtualSample] = []

    def _new_journal(
        self, open_store: Callable[[], JournalStore], run: InLoop, on_committed: OnCommitted, on_health: OnHealth
    ) -> Journal[ServerView]:
        journal = Journal[ServerView](open_store, run, on_committed, on_health)
        self.spawn(self._prune(journal))
        return journal

    async def _prune(self, journal: Journal[ServerView]) -> None:
        """As the daemon does. Its life's death ends it at the next call."""
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
    async def _course(self) -> None:
        watching = asyncio.create_task(self._watch())
        try:
            await super()._course()
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
            self._tell(sample)
            if sample.rows > self._keep + HOURS_ENTRIES + len(self.wires):
                self.accuse("-", f"the journal has {sample.rows} rows and is to keep {self._keep}")

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
        """The same rule over what was told since the last look; `keep` entries are too many for that to be pruned."""
        last = self._invariants.last_seq
        told = {seq: said for seq, said in self._invariants.told.items() if seq > last - self._keep}
        first = min(told, default=last + 1)
        with closing(sqlite3.connect(self.disk.path)) as file:
            query = "SELECT seq, server, dest FROM log WHERE seq >= ? ORDER BY seq"
            kept = {seq: (server, dest) for seq, server, dest in file.execute(query, (first,))}
        if list(kept) != list(range(first, last + 1)):
            self.accuse("-", "rule 7: the log ids in the file have gaps")
        if not told.items() <= kept.items():
            self.accuse("-", "rule 7: an entry was told that is not in the file")

    @property
    def _keep(self) -> int:
        return self._scenario.settings.journal.max_transitions


def scenario_of(seed: int, servers: int, days: float, keep: int = KEEP) -> Scenario:
    """The same for the same arguments."""
    rng = Random(f"{seed}/soak")
    names = rng.choices(list(MIX), list(MIX.values()), k=servers)
    plans = tuple(
        Plan(
            host=f"127.0.1.{1 + index // SERVERS_ON_A_HOST}",
            port=8188 + index % SERVERS_ON_A_HOST,
            persona=replace(PERSONAS[name], http_delay=0.0),
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
                "cache_check": {"kind": kinds[plan.persona.name == "unrecognisable"]},
            }
            for plan in plans
        ],
        "timing": TIMING,
        "journal": {"max_transitions": keep},
    })  # fmt: skip


def live(
    seed: int, servers: int, days: float, tell: Callable[[VirtualSample], None], keep: int = KEEP
) -> tuple[Result, list[VirtualSample]]:
    """Live through it. Deterministic, given the same PYTHONHASHSEED, but for what the process uses."""
    every_s = min(DAY_S, days * DAY_S / LEAST_SAMPLES)
    with tempfile.TemporaryDirectory(dir=_quick_place()) as folder, asyncio.Runner(loop_factory=VirtualLoop) as runner:
        world = VirtualWorld(seed, Path(folder), scenario_of(seed, servers, days, keep), every_s, tell)
        with _loud_faults(world):
            gc.enable()
            runner.run(world.live())
        return world.result(runner.get_loop().time()), world.samples


def compare(samples: Sequence[VirtualSample]) -> list[Row]:
    """Medians of the first and the last quarter; more than a tenth is growth."""
    first, last = quarters(samples)
    figures: dict[str, Callable[[Sample], float]] = {
        "RSS MiB": lambda one: one.rss_mib,
        "descriptors": lambda one: one.descriptors,
        "asyncio tasks": lambda one: one.tasks or 0,
        "gc objects": lambda one: one.objects if isinstance(one, VirtualSample) else 0,
    }
    return [Row(name, median(map(value, first)), median(map(value, last)), 0.10) for name, value in figures.items()]


def main() -> int:
    """Run, print as it goes, compare."""
    if os.environ.get(HASH_SEED) != "0":
        command = [sys.executable, "-m", "campaigns.soak.virtual", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, HASH_SEED: "0"})
    parser = argparse.ArgumentParser(prog="python -m campaigns.soak.virtual", description=__doc__)
    parser.add_argument("--servers", type=int, default=200, help="how many simulated servers")
    parser.add_argument("--days", type=float, default=30.0, help="how long, in virtual time")
    parser.add_argument("--seed", type=int, default=1, help="another one draws other servers and other troubles")
    options = parser.parse_args()
    started = time.monotonic()
    result, samples = live(
        options.seed, options.servers, options.days, lambda one: print(one.line(time.monotonic() - started), flush=True)
    )
    print(f"{options.servers} servers, {options.days:g} virtual days; medians of the quarters")
    return report(result, samples)


def report(result: Result, samples: Sequence[VirtualSample]) -> int:
    """Print what came of it; the exit status."""
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
