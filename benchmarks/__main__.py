"""Run the benchmarks and write results.md, results.json and the charts beside this file.

`--only` runs some of the cases and keeps the results of the others.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.figures import Options, Outcome
from benchmarks.harness import run_case
from benchmarks.machine import this_machine
from benchmarks.processes import allow_descriptors
from benchmarks.report import markdown_table
from benchmarks.results import merge_results, read_results, write_results

FOLDER = Path(__file__).parent
DEFAULT_RUNS = 5


def main() -> int:
    """Run the selected cases; return 1 if a figure misses its target."""
    arguments = _arguments()
    allow_descriptors()
    options = Options(fleet=arguments.fleet, stall_seconds=arguments.stall_seconds)
    machine, found = this_machine(), list[Outcome]()
    for name in [name for name in CASES if name in arguments.only]:
        print(name, flush=True)
        found += run_case(CASES[name], options, arguments.runs, _print)
        write_results(FOLDER, machine, merge_results(read_results(FOLDER), found))
    print(markdown_table(found, machine.summary))
    return 0 if all(outcome.reached for outcome in found) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--fleet", type=int, default=Options().fleet, help="servers in the largest fleet")
    parser.add_argument("--runs", type=int, default=DEFAULT_RUNS, help="pairs of runs for each figure")
    parser.add_argument(
        "--stall-seconds", type=float, default=Options().stall_seconds, help="seconds to measure stalls in each run"
    )
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES), help="cases to run")
    return parser.parse_args()


def _print(text: str) -> None:
    print(text, flush=True)


sys.exit(main())
