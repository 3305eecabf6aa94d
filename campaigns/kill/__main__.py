"""`python -m campaigns.kill [--kills N] [--seed S]`: exit 0 where no rule was broken, 1 where one was."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from campaigns.kill.campaign import campaign
from campaigns.kill.report import Report

SHOWN = 20


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m campaigns.kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how many lives end by SIGKILL")
    parser.add_argument("--seed", type=int, default=1, help="moments and actions are drawn from it")
    parser.add_argument("--folder", type=Path, help="where journal and logs stay; default: a new one")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="kill-"))
    folder.mkdir(parents=True, exist_ok=True)
    report = asyncio.run(campaign(folder, options.kills, options.seed))
    print_report(report)
    print(f"journal and logs: {folder}")
    return 1 if report.violations else 0


def print_report(report: Report) -> None:
    """The figures, then what is wrong."""
    print(f"{report.kills.total()} kills in {report.duration_s:.0f} s:")
    for moment, count in report.kills.most_common():
        print(f"  {count:4d}  {moment}")
    taken_late = f"{report.taken_from_the_dead} POSTs taken from a daemon that was dead already"
    print(f"warm-ups accepted: {sum(report.warm_ups.values())}; {taken_late}")
    print("  " + ", ".join(f"{name} {count}" for name, count in report.warm_ups.items()))
    print("  ended as: " + ", ".join(f"{outcome} {count}" for outcome, count in report.outcomes.most_common()))
    print(f"duplicates: {len(report.duplicates)}")
    print(f"accepted but never written down: {len(report.unwritten)}")
    print(f"servers left cold: {len(report.left_cold)}, {report.recovery_s:.1f} s after the last start")
    print(f"events: {report.entries}, read: {report.read}; gaps, repeats, reuse: {len(report.log_faults)}")
    print(f"servers that were made to start their own workflow twice: {len(report.own_together)}")
    print(f"faults in the daemon's log: {len(report.faults)}")
    for violation in report.violations[:SHOWN]:
        print(f"VIOLATION {violation}")


if __name__ == "__main__":
    sys.exit(main())
