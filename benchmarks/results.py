"""The results beside this file: kept from run to run, so that one case can be measured anew without the others."""

from collections.abc import Iterable
from pathlib import Path

from benchmarks import scaling
from benchmarks.cases import CASES
from benchmarks.figures import Outcome
from benchmarks.machine import Machine
from benchmarks.plots import draw_growth, draw_ratios
from benchmarks.report import as_json, as_table, from_json

ORDER = tuple(figure.id for case in CASES.values() for figure in case.figures)
"""Of the figures, in tables and plots."""


def read_results(folder: Path) -> list[Outcome]:
    """What earlier runs gave; nothing where there was none."""
    path = folder / "results.json"
    return from_json(path.read_bytes()) if path.exists() else []


def renewed(kept: Iterable[Outcome], found: Iterable[Outcome]) -> list[Outcome]:
    """The newest outcome of each figure, whole: its pairs are of one run. A figure that no case has any more goes."""
    newest = {outcome.figure.id: outcome for outcome in (*kept, *found)}
    return [newest[name] for name in ORDER if name in newest]


def write_results(folder: Path, machine: Machine, outcomes: list[Outcome]) -> None:
    """The table, the JSON and the plots; `machine` is this one."""
    (folder / "results.json").write_bytes(as_json(machine, outcomes))
    (folder / "results.md").write_text(f"{machine.in_words}\n\n{as_table(outcomes, machine.in_words)}\n")
    draw_ratios(outcomes, folder / "ratios.svg")
    if costs := scaling.growth(outcomes):
        draw_growth(costs, folder / "growth.svg")
