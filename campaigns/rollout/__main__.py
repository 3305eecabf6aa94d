"""`python -m campaigns.rollout [--real] [--kills N]`: exit 0 without violations, else 1."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from campaigns.rollout.campaign import Report, campaign
from campaigns.rollout.real import real_fleet
from campaigns.rollout.simulated import simulated_fleet
from tests.comfyui.install import InstallError

SHOWN = 20
INTERVAL_S = 0.1
REAL_INTERVAL_S = 0.5
"""Between two prompts; real servers take longer for one."""
LONGEST_PAUSE_S = 3.0


def main() -> int:
    """Run the campaign and print its report."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.rollout", description=__doc__)
    parser.add_argument(
        "--real", action="store_true", help="run over real ComfyUI servers, which `make comfyui` installs"
    )
    parser.add_argument("--kills", type=int, default=0, help="number of SIGKILLs of the daemon during the run")
    parser.add_argument("--seed", type=int, default=1, help="seed of the pauses between them")
    parser.add_argument("--folder", type=Path, help="folder of logs; default: a new temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="rollout-"))
    folder.mkdir(parents=True, exist_ok=True)
    random = Random(options.seed)
    kills = [random.uniform(0.0, LONGEST_PAUSE_S) for _ in range(options.kills)]
    running = _real if options.real else _simulated
    try:
        report = asyncio.run(running(folder, kills))
    except InstallError as error:
        sys.exit(f"campaigns.rollout: {error}")
    print_report(report)
    print(f"logs: {folder}")
    return 1 if report.violations else 0


async def _simulated(folder: Path, kills: Sequence[float]) -> Report:
    async with simulated_fleet(1) as fleet:
        return await campaign(folder, fleet, INTERVAL_S, kills)


async def _real(folder: Path, kills: Sequence[float]) -> Report:
    async with real_fleet(folder) as fleet:
        return await campaign(folder, fleet, REAL_INTERVAL_S, kills)


def print_report(report: Report) -> None:
    """Print the figures, then the violations."""
    print(f"rolling restart in {report.run_s:.0f} s: {report.run.get('state')}, {report.run.get('counts')}")
    print(f"hooks: {report.hooks}; SIGKILLs of the daemon: {report.kills}")
    print(f"least servers loaded at a time: {report.least_warm}")
    print(f"prompts: {report.prompts}; the slowest took {report.slowest_s:.1f} s")
    for violation in report.violations[:SHOWN]:
        print(f"VIOLATION {violation}")
    print(f"violations: {len(report.violations)}")


if __name__ == "__main__":
    sys.exit(main())
