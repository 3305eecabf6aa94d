"""`python -m campaigns.hostile [--minutes M] [--honest N]`: exit 0 if every figure is within its limit, else 1."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from campaigns.hostile.campaign import Plan, campaign
from campaigns.hostile.kinds import KINDS
from campaigns.hostile.report import Report

SHOWN = 20


def main() -> int:
    """Run the campaign and print its report."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.hostile", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="time beside the hostile servers")
    parser.add_argument("--honest", type=int, default=50, help="number of honest servers")
    parser.add_argument("--seed", type=int, default=1, help="seed of the honest servers")
    parser.add_argument("--only", nargs="+", choices=sorted(KINDS), metavar="KIND", help="hostile kinds; default: all")
    parser.add_argument("--folder", type=Path, help="folder of journals and logs; default: a new temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="hostile-"))
    plan = Plan(options.honest, options.minutes * 60, tuple(options.only or KINDS), options.seed)
    report = asyncio.run(campaign(folder, plan))
    print(
        f"{plan.honest} honest servers beside {report.beside.servers - plan.honest} of {len(plan.kinds)} hostile kinds"
    )
    print_report(report)
    print(f"journals and logs: {folder}")
    return 0 if report.good else 1


def print_report(report: Report) -> None:
    """Print the figures with their limits, and what is behind them."""
    print("\n".join(map(str, report.figures)))
    print("\n".join(report.notes))
    for detail in report.details[:SHOWN]:
        print(f"FAIL {detail:.300}")
    for name, state in report.beside.hostile.items():
        if name.endswith("-0"):
            print(f"  {name.removesuffix('-0'):<24}{state}")


if __name__ == "__main__":
    sys.exit(main())
