"""`python -m campaigns.gateway [--kills N] [--seed S] [--real]`: exit 0 without violations, else 1."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from random import Random

from campaigns.gateway.campaign import campaign
from campaigns.gateway.moments import Moments, draw
from campaigns.gateway.real import real_fleet
from campaigns.gateway.report import Report
from campaigns.gateway.simulated import simulated_fleet
from tests.comfyui.install import InstallError

SHOWN = 20
INTERVAL_S = 0.05
REAL_INTERVAL_S = 0.2
"""Between two prompts; real servers take longer for one."""


def main() -> int:
    """Run the campaign and print its report."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.gateway", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="number of kills")
    parser.add_argument("--seed", type=int, default=1, help="seed of the targets and moments")
    parser.add_argument(
        "--real", action="store_true", help="run over real ComfyUI servers, which `make comfyui` installs"
    )
    parser.add_argument("--folder", type=Path, help="folder of ledgers and logs; default: a new temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="gateway-"))
    folder.mkdir(parents=True, exist_ok=True)
    running = _real if options.real else _simulated
    try:
        report = asyncio.run(running(folder, options.kills, options.seed))
    except InstallError as error:
        sys.exit(f"campaigns.gateway: {error}")
    print_report(report)
    print(f"ledgers and logs: {folder}")
    return 1 if report.violations else 0


async def _simulated(folder: Path, kills: int, seed: int) -> Report:
    happened = Moments()
    async with simulated_fleet(seed, happened) as fleet:
        return await campaign(folder, fleet, happened, draw(Random(seed), kills, fleet.moments), INTERVAL_S)


async def _real(folder: Path, kills: int, seed: int) -> Report:
    async with real_fleet(folder) as fleet:
        return await campaign(folder, fleet, Moments(), draw(Random(seed), kills, fleet.moments), REAL_INTERVAL_S)


def print_report(report: Report) -> None:
    """Print the figures, then the violations."""
    print(f"{report.kills.total()} kills in {report.duration_s:.0f} s:")
    for kill, count in report.kills.most_common():
        print(f"  {count:4d}  {kill}")
    print(f"prompts: {report.ends.total()}; " + ", ".join(f"{end} {count}" for end, count in report.ends.items()))
    print(f"POSTs repeated by clients after one without answer: {report.repeats}")
    print(f"prompts that ran again after their server had died: {report.ran_again}")
    print(f"files that a killed server has lost: {report.files_gone}")
    for violation in report.violations[:SHOWN]:
        print(f"VIOLATION {violation}")
    print(f"violations: {len(report.violations)}")


if __name__ == "__main__":
    sys.exit(main())
