"""`python -m campaigns.soak [--servers N] [--minutes M]`: exit 0 if nothing grows, else 1."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from campaigns.soak.run import soak
from campaigns.soak.samples import Sample, compare, rate

SAMPLES = 180
LEAST_PAUSE_S = 2.0
SHOWN = 15


def main() -> int:
    """Run the soak, print samples and compare them."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.soak", description=__doc__)
    parser.add_argument("--servers", type=int, default=200, help="number of simulated servers")
    parser.add_argument("--minutes", type=float, default=30.0, help="duration")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    seconds = options.minutes * 60
    samples = asyncio.run(soak(folder, options.servers, seconds, max(LEAST_PAUSE_S, seconds / SAMPLES), Printer()))
    rows = compare(samples)
    print(f"{options.servers} servers, {options.minutes:g} min, {len(samples)} samples; medians of the quarters")
    print(f"{'':<16}{'first':>10}{'last':>10}{'change':>11}")
    print("\n".join(map(str, rows)))
    print(f"event log: {samples[-1].entries} entries, {rate(samples):.1f}/s, journal {samples[-1].journal_mib:.1f} MiB")
    print(f"growth: {', '.join(row.name for row in rows if row.grows) or 'none'}; journal and log: {folder}")
    return 1 if any(row.grows for row in rows) else 0


class Printer:
    """Print a line for some of the samples."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, sample: Sample, states: dict[str, int]) -> None:
        if self._count % (SAMPLES // SHOWN) == 0:
            counts = ", ".join(f"{state} {count}" for state, count in sorted(states.items()))
            tasks = "" if sample.tasks is None else f", {sample.tasks} tasks"
            used = f"{sample.rss_mib:6.1f} MiB, {sample.descriptors} descriptors{tasks}"
            print(f"{used}, {sample.entries} entries; {counts}", flush=True)
        self._count += 1


if __name__ == "__main__":
    sys.exit(main())
