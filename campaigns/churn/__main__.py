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
from campaigns.churn.growth import ChurnSample, growths
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.run import scratch_folder


def run(seed: int, per_hour: float, hours: float) -> ChurnReport:
    """Run a churn in virtual time."""
    with (
        tempfile.TemporaryDirectory(dir=scratch_folder()) as folder,
        asyncio.Runner(loop_factory=VirtualLoop) as runner,
    ):
        return runner.run(_churn(seed, Path(folder), per_hour, hours * 3600.0))


async def _churn(seed: int, folder: Path, per_hour: float, duration_s: float) -> ChurnReport:
    """Build the churn on the loop, whose time is its clock."""
    return await Churn(seed, folder, per_hour, duration_s).run()


def line_of(one: ChurnSample) -> str:
    """Return a line on the size of the daemon at a time."""
    rows = ", ".join(f"{count:,} {table}" for table, count in one.rows.items() if count)
    size = f"{one.present} present, {one.tasks:,} tasks, {one.objects:,} objects, {one.blocks:,} blocks of memory"
    entries = sum(one.containers.values())
    return f"{one.at_s / 3600:5.1f} h: {size}, {one.peak_mb:.0f} MB at most, {entries:,} entries; rows: {rows}"


def main() -> int:
    """Run the churn and print what it has shown."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.churn", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="duration in virtual time")
    parser.add_argument("--per-hour", type=float, default=1000.0, help="servers that join in an hour")
    parser.add_argument("--seed", type=int, default=1, help="seed of the servers and the sources")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    started = time.process_time()
    report = run(options.seed, options.per_hour, options.hours)
    grown = growths(report.samples)
    present = median([one.present for one in report.samples] or [0])
    print(*map(line_of, report.samples), sep="\n")
    came = f"{report.joined:,} servers joined, {report.left:,} left, {report.removed:,} removed"
    print(f"{came}, {report.paused:,} paused; {present:.0f} present")
    print("; ".join(f"{name}: {count:,}" for name, count in sorted(report.troubles.items())))
    times = sorted(report.warm_after_s)
    print(f"warm after listing: median {median(times):.1f} s, longest {times[-1]:.1f} s, of {len(times):,}")
    print("growth:", *grown or ("none",), sep="\n  ")
    print(f"processor time: {time.process_time() - started:.0f} s")
    print(f"violations: {len(report.violations)}", *report.violations[:20], sep="\n  ")
    return 1 if report.violations or grown else 0


if __name__ == "__main__":
    sys.exit(main())
