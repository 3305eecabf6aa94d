"""`python -m campaigns.simulation [--cluster] --seeds N`, or `--seed S --trace` to repeat one seed."""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial

from campaigns.simulation.cluster.faults import ClusterFault
from campaigns.simulation.cluster.planted_faults import PLANTED_FAULTS as CLUSTER_FAULTS
from campaigns.simulation.cluster.planted_faults import run_planted_fault as run_planted_cluster_fault
from campaigns.simulation.cluster.simulation import run_cluster_seed
from campaigns.simulation.faults import Fault
from campaigns.simulation.planted_faults import PLANTED_FAULTS, run_planted_fault
from campaigns.simulation.restart_faults import RESTART_FAULTS, run_restart_plant
from campaigns.simulation.restarts import run_restart_seed
from campaigns.simulation.rollouts import run_rollout_seed
from campaigns.simulation.run import run_seed
from campaigns.simulation.simulation import Result

HASH_SEED = "PYTHONHASHSEED"


def main() -> int:
    """Return 0 if no invariant was violated, else 1."""
    if os.environ.get(HASH_SEED) != "0":
        # The iteration order of sets decides which task runs first, so a run repeats only with a fixed hash seed.
        os.execve(
            sys.executable,
            [sys.executable, "-m", "campaigns.simulation", *sys.argv[1:]],
            {**os.environ, HASH_SEED: "0"},
        )
    options = _options()
    if options.planted_faults:
        return _run_planted_faults(options)
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
    parser.add_argument("--seeds", type=int, default=100, help="number of runs")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="number of processes")
    parser.add_argument("--trace", action="store_true", help="print every event")
    parser.add_argument("--cluster", action="store_true", help="simulate clusters of three daemons")
    parser.add_argument("--rollouts", action="store_true", help="simulate rolling restarts by such hooks")
    parser.add_argument("--restarts", action="store_true", help="simulate servers that hooks restart")
    parser.add_argument("--planted-faults", action="store_true", help="check that each planted fault is caught")
    parser.add_argument("--stop-after", type=int, default=5, help="stop after this number of violations")
    parser.add_argument(
        "--without", type=_fault, action="append", default=[], metavar="FAULT", help="omit this fault; may be repeated"
    )
    return parser.parse_args()


def _fault(name: str) -> Fault | ClusterFault:
    return ClusterFault(name) if name in list(ClusterFault) else Fault(name)


def _run_planted_faults(options: argparse.Namespace) -> int:
    """Print one line per planted fault; return 1 if one is not caught."""
    missed = 0
    if options.cluster:
        run, count = run_planted_cluster_fault, len(CLUSTER_FAULTS)
    elif options.restarts:
        run, count = run_restart_plant, len(RESTART_FAULTS)
    else:
        run, count = run_planted_fault, len(PLANTED_FAULTS)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for name, result in pool.imap(run, range(count)):
            missed += result is None
            print(
                f"{name}: " + ("NOT CAUGHT" if result is None else f"caught in seed {result.seed}: {result.violation}")
            )
    return 1 if missed else 0


def _results(seeds: list[int], options: argparse.Namespace) -> Iterator[Result]:
    run = partial(_seed_runner(options), without=tuple(options.without), full_trace=options.trace)
    if len(seeds) == 1 or options.jobs == 1:
        yield from map(run, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        yield from pool.imap_unordered(run, seeds, chunksize=4)


def _seed_runner(options: argparse.Namespace) -> Callable[..., Result]:
    if options.cluster:
        return run_cluster_seed
    if options.rollouts:
        return run_rollout_seed
    return run_restart_seed if options.restarts else run_seed


class Report:
    """Sum the results of all seeds."""

    def __init__(self) -> None:
        self.violations = 0
        self._seeds = 0
        self._virtual_s = 0.0
        self._warm_ups = 0
        self._faults: Counter[StrEnum] = Counter()

    def add(self, result: Result, *, full: bool) -> None:
        """Add one result; print it if it has a violation."""
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
        """Print the sums."""
        hours = self._virtual_s / 3600.0
        print(f"{self._seeds} seeds, {hours:,.0f} virtual hours in {seconds:.1f} s ({hours / seconds:,.0f} h/s)")
        print(f"{self._warm_ups:,} warm-ups posted; faults: {sum(self._faults.values()):,}")
        print("  " + ", ".join(f"{fault.value} {count:,}" for fault, count in sorted(self._faults.items())))
        print(f"violations: {self.violations}")


if __name__ == "__main__":
    sys.exit(main())
