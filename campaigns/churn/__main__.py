"""`python -m campaigns.churn`: a day in which 1,000 servers join and leave each hour.

It exits with 0 if every server that was listed for five minutes was warm, none was removed wrongly or warmed twice, the
fleet became what the sources list, and nothing has grown.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from loguru import logger

from campaigns.churn.churn import Churn, ChurnReport
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.run import scratch_folder

GROWTH = 1.1


def run(seed: int, per_hour: float, hours: float) -> ChurnReport:
    """Run a churn in virtual time."""
    with (
        tempfile.TemporaryDirectory(dir=scratch_folder()) as folder,
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        return runner.run(Churn(seed, Path(folder), per_hour, hours * 3600.0).run())


def growths(report: ChurnReport) -> list[str]:
    """Return what has grown from the second to the last quarter, for each server that is present."""
    count = len(report.samples) // 4
    if not count:
        return []
    early, late = report.samples[count : 2 * count], report.samples[-count:]
    grown = []
    for figure in ("tasks", "objects"):
        first = median(getattr(one, figure) / one.present for one in early)
        last = median(getattr(one, figure) / one.present for one in late)
        if last > GROWTH * first:
            grown.append(f"{figure} for each server: {first:.1f} → {last:.1f}")
    return grown


def main() -> int:
    """Run the churn and print what it has shown."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.churn", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="duration in virtual time")
    parser.add_argument("--per-hour", type=float, default=1000.0, help="servers that join in an hour")
    parser.add_argument("--seed", type=int, default=1, help="seed of the servers and the sources")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    started = time.monotonic()
    report = run(options.seed, options.per_hour, options.hours)
    grown = growths(report)
    present = median(one.present for one in report.samples)
    print(f"{report.joined:,} servers joined, {report.left:,} left, {report.removed:,} removed; {present:.0f} present")
    print("; ".join(f"{name}: {count:,}" for name, count in sorted(report.troubles.items())))
    times = sorted(report.warm_after_s)
    print(f"warm after listing: median {median(times):.1f} s, longest {times[-1]:.1f} s, of {len(times):,}")
    print(f"growth: {'; '.join(grown) or 'none'}; took {time.monotonic() - started:.0f} s")
    print(f"violations: {len(report.violations)}", *report.violations[:20], sep="\n  ")
    return 1 if report.violations or grown else 0


if __name__ == "__main__":
    sys.exit(main())
