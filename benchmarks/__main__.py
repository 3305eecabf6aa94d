"""`python -m benchmarks`: every figure, written to results.md, results.json and plots beside this file.

With `--only` the figures of the other cases stay what they were.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.figures import Options, Outcome
from benchmarks.harness import run_case
from benchmarks.machine import describe_machine
from benchmarks.processes import allow_descriptors
from benchmarks.report import as_table
from benchmarks.results import read_results, renewed, write_results

FOLDER = Path(__file__).parent
LEAST_RUNS = 5


def main() -> int:
    """Exit code 1 where a figure of this run misses its target."""
    arguments = _arguments()
    allow_descriptors()
    options = Options(fleet=arguments.fleet, stall_seconds=arguments.stall_seconds)
    machine, found = describe_machine(), list[Outcome]()
    for name in [name for name in CASES if name in arguments.only]:
        print(name, flush=True)
        found += run_case(CASES[name], options, arguments.runs, _say)
        write_results(FOLDER, machine, renewed(read_results(FOLDER), found))
    print(as_table(found, machine.in_words))
    return 0 if all(outcome.reached for outcome in found) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--fleet", type=int, default=Options().fleet, help="servers in the largest fleet")
    parser.add_argument("--runs", type=int, default=LEAST_RUNS, help="pairs of runs for each figure")
    parser.add_argument(
        "--stall-seconds", type=float, default=Options().stall_seconds, help="how long to wait for stalls"
    )
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES), help="these cases; others stay")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)


sys.exit(main())
