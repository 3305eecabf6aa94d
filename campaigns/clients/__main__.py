"""`python -m campaigns.clients [--times N] [--only NAME …]`: exit 0 if every program got its own pictures, else 1."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from campaigns.clients.campaign import SCRIPTS, Report, campaign
from tests.comfyui.install import InstallError


def main() -> int:
    """Run the campaign and print its report."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.clients", description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="runs of each program, all at once")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS), help="programs; default: all")
    parser.add_argument("--folder", type=Path, help="folder of logs and pictures; default: a new temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="clients-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        report = asyncio.run(campaign(folder, options.only, options.times))
    except InstallError as error:
        sys.exit(f"campaigns.clients: ComfyUI is missing: {error}")
    print_report(report)
    print(f"logs and pictures: {folder}")
    return 1 if report.problems or report.missing else 0


def print_report(report: Report) -> None:
    """Print what ran, what is missing, and what went wrong."""
    for name, times in report.runs.items():
        wrong = [one for one in report.problems if one.startswith(f"{name}-")]
        print(f"{name}: {times - len(wrong)} of {times} runs got the right picture")
    for name, why in report.missing.items():
        print(f"MISSING {name}: {why}")
    for problem in report.problems:
        print(f"PROBLEM {problem}")


if __name__ == "__main__":
    sys.exit(main())
