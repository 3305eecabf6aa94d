"""`python -m campaigns.soak.virtual`: a month of the daemon over faulty servers, in minutes.

It is a large and long simulation: the real fleet, state machine, journal and client in virtual time with all
invariants. It exits with 0 if nothing grows and no invariant is violated.
"""

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from random import Random
from statistics import median

from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.network import LATE_S
from campaigns.simulation.plans import Plan
from campaigns.simulation.run import fail_on_logged_errors, scratch_folder
from campaigns.simulation.scenario import Scenario
from campaigns.simulation.simulation import Result
from campaigns.soak.samples import Row, Sample, quarters
from campaigns.soak.simulation import DAY_S, HOUR_S, SoakSimulation, VirtualSample
from statemachine.settings import Settings
from statemachine.simulator.profiles import PROFILES

HASH_SEED = "PYTHONHASHSEED"
LEAST_SAMPLES = 8
SERVERS_PER_HOST = 4
KEEP = 100_000
QUALITY = 0.1
ACTION_EVERY_S = 8_000.0
"""Mean interval of the actions on one server."""
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
