"""`python -m benchmarks`: every figure, written to results.md, results.json and plots beside this file."""

import argparse
import sys
from pathlib import Path

from benchmarks import scaling
from benchmarks.cases import CASES
from benchmarks.figures import Options, Outcome
from benchmarks.harness import run_case
from benchmarks.machine import describe_machine
from benchmarks.plots import draw_growth, draw_ratios
from benchmarks.processes import allow_descriptors
from benchmarks.report import as_json, as_table

FOLDER = Path(__file__).parent
LEAST_RUNS = 5


def main() -> int:
    """Exit code 1 where a figure misses its target."""
    arguments = _arguments()
    allow_descriptors()
    options = Options(fleet=arguments.fleet, stall_seconds=arguments.stall_seconds)
    outcomes: list[Outcome] = []
    for name in arguments.only or CASES:
        print(name, flush=True)
        found = run_case(CASES[name], options, arguments.runs, _say)
        outcomes += found
        if not arguments.only:
            _write(outcomes)
            if CASES[name] is scaling.CASE:
                draw_growth(scaling.growth(found, options), FOLDER / "growth.svg")
    print(as_table(outcomes))
    return 0 if all(outcome.reached for outcome in outcomes) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--fleet", type=int, default=Options().fleet, help="servers in the largest fleet")
    parser.add_argument("--runs", type=int, default=LEAST_RUNS, help="pairs of runs for each figure")
    parser.add_argument(
        "--stall-seconds", type=float, default=Options().stall_seconds, help="how long to wait for stalls"
    )
    parser.add_argument("--only", nargs="+", choices=sorted(CASES), help="these cases, and write no results")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)


def _write(outcomes: list[Outcome]) -> None:
    machine = describe_machine()
    (FOLDER / "results.json").write_bytes(as_json(machine, outcomes))
    (FOLDER / "results.md").write_text(f"{machine.in_words}\n\n{as_table(outcomes)}\n")
    draw_ratios(outcomes, FOLDER / "ratios.svg")


sys.exit(main())
