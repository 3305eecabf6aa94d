"""`python -m campaigns.simulation [--cluster] --seeds N [--first S]`, or `--seed S --trace` to repeat one seed."""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from functools import partial

from campaigns.simulation.cluster.faults import ClusterFault
from campaigns.simulation.cluster.planted_faults import PLANTED_FAULTS as CLUSTER_FAULTS
from campaigns.simulation.cluster.planted_faults import hunt as hunt_in_cluster
from campaigns.simulation.cluster.world import run_cluster_seed
from campaigns.simulation.faults import Fault
from campaigns.simulation.planted_faults import PLANTED_FAULTS, hunt
from campaigns.simulation.world import Result, run_seed

HASH_SEED = "PYTHONHASHSEED"


def main() -> int:
    """Exit 0 where no rule was broken, 1 where one was."""
    if os.environ.get(HASH_SEED) != "0":
        # The order of sets decides which of two tasks comes first, so only with a fixed seed is a world repeatable.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "campaigns.simulation", *sys.argv[1:]],
            {**os.environ, HASH_SEED: "0"},
        )
    options = _options()
    if options.planted_faults:
        return _hunt(options)
    started = time.monotonic()
    seeds = range(options.first, options.first + options.seeds) if options.seed is None else [options.seed]
    report = Report()
    for result in _results(list(seeds), options):
        report.add(result, full=options.trace)
        if report.violations >= options.stop_after:
            break
    report.print(time.monotonic() - started)
    return 1 if report.violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m campaigns.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seed", type=int, help="one world only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--trace", action="store_true", help="print everything that happened")
    parser.add_argument("--cluster", action="store_true", help="clusters of three daemons instead of single ones")
    parser.add_argument("--planted-faults", action="store_true", help="see whether planted faults are caught")
    parser.add_argument("--stop-after", type=int, default=5, help="violations")
    parser.add_argument("--without", type=_fault, action="append", default=[], metavar="FAULT", help="a fault to omit")
    return parser.parse_args()


def _fault(name: str) -> Fault | ClusterFault:
    return ClusterFault(name) if name in list(ClusterFault) else Fault(name)


def _hunt(options: argparse.Namespace) -> int:
    """One line for each planted fault; 1 where one survives."""
    survivors = 0
    hunting, planted_faults = (hunt_in_cluster, CLUSTER_FAULTS) if options.cluster else (hunt, PLANTED_FAULTS)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for name, result in pool.imap(hunting, range(len(planted_faults))):
            survivors += result is None
            print(f"{name}: " + ("SURVIVED" if result is None else f"caught in seed {result.seed}: {result.violation}"))
    return 1 if survivors else 0


def _results(seeds: list[int], options: argparse.Namespace) -> Iterator[Result]:
    live = run_cluster_seed if options.cluster else run_seed
    run = partial(live, without=tuple(options.without), full_trace=options.trace)
    if len(seeds) == 1 or options.jobs == 1:
        yield from map(run, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        yield from pool.imap_unordered(run, seeds, chunksize=4)


class Report:
    """Adds up what came of the seeds."""

    def __init__(self) -> None:
        self.violations = 0
        self._seeds = 0
        self._virtual_s = 0.0
        self._warm_ups = 0
        self._faults: Counter[StrEnum] = Counter()

    def add(self, result: Result, *, full: bool) -> None:
        """Count one result; print it where a rule was broken."""
        self._seeds += 1
        self._virtual_s += result.virtual_s
        self._warm_ups += result.warm_ups
        self._faults.update(result.faults)
        if result.violation is not None:
            self.violations += 1
            print(f"seed {result.seed}: {result.violation}")
        if full or result.violation is not None:
            print("\n".join(f"    {line}" for line in result.trace))

    def print(self, seconds: float) -> None:
        """The sums."""
        hours = self._virtual_s / 3600.0
        print(f"{self._seeds} seeds, {hours:,.0f} virtual hours in {seconds:.1f} s ({hours / seconds:,.0f} h/s)")
        print(f"{self._warm_ups:,} warm-ups posted; faults: {sum(self._faults.values()):,}")
        print("  " + ", ".join(f"{fault.value} {count:,}" for fault, count in sorted(self._faults.items())))
        print(f"violations: {self.violations}")


if __name__ == "__main__":
    sys.exit(main())
