"""`python -m campaigns.kill [--kills N] [--seed S]`: exit 0 without violations, else 1."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from campaigns.kill.campaign import campaign
from campaigns.kill.report import Report

SHOWN = 20


def main() -> int:
    """Run the campaign and print its report."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="number of kills")
    parser.add_argument("--seed", type=int, default=1, help="seed of the moments and actions")
    parser.add_argument("--folder", type=Path, help="folder of journal and logs; default: a new temporary folder")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="kill-"))
    folder.mkdir(parents=True, exist_ok=True)
    report = asyncio.run(campaign(folder, options.kills, options.seed))
    print_report(report)
    print(f"journal and logs: {folder}")
    return 1 if report.violations else 0


def print_report(report: Report) -> None:
    """Print the figures, then the violations."""
    print(f"{report.kills.total()} kills in {report.duration_s:.0f} s:")
    for moment, count in report.kills.most_common():
        print(f"  {count:4d}  {moment}")
    late = f"{report.accepted_after_death} POSTs accepted after the daemon's death"
    print(f"warm-ups accepted: {sum(report.warm_ups.values())}; {late}")
    print("  " + ", ".join(f"{name} {count}" for name, count in report.warm_ups.items()))
    print("  ended as: " + ", ".join(f"{outcome} {count}" for outcome, count in report.outcomes.most_common()))
    print(f"duplicates: {len(report.duplicates)}")
    print(f"accepted but not in the journal: {len(report.unwritten)}")
    print(f"servers not recovered: {len(report.not_recovered)}, {report.recovery_s:.1f} s after the last start")
    print(f"events: {report.entries}, read: {report.read}; gaps, repeats and reused ids: {len(report.log_faults)}")
    print(f"servers that started their own workflow twice: {len(report.own_at_once)}")
    print(f"errors in the daemon's log: {len(report.faults)}")
    for violation in report.violations[:SHOWN]:
        print(f"VIOLATION {violation}")


if __name__ == "__main__":
    sys.exit(main())
