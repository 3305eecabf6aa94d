"""The results beside this file. They are kept, so that one case can be measured without the others."""

from collections.abc import Iterable
from pathlib import Path

from benchmarks import scaling
from benchmarks.cases import CASES
from benchmarks.figures import Outcome
from benchmarks.machine import Machine
from benchmarks.plots import draw_growth, draw_ratios
from benchmarks.report import as_json, from_json, markdown_table

ORDER = tuple(figure.id for case in CASES.values() for figure in case.figures)
"""Ids of the figures, in the order of tables and charts."""


def read_results(folder: Path) -> list[Outcome]:
    """Return the results of earlier runs, if there are any."""
    path = folder / "results.json"
    return from_json(path.read_bytes()) if path.exists() else []


def merge_results(kept: Iterable[Outcome], found: Iterable[Outcome]) -> list[Outcome]:
    """Return the newest outcome of each figure that still exists."""
    newest = {outcome.figure.id: outcome for outcome in (*kept, *found)}
    return [newest[name] for name in ORDER if name in newest]


def write_results(folder: Path, machine: Machine, outcomes: list[Outcome]) -> None:
    """Write the table, the JSON and the charts."""
    (folder / "results.json").write_bytes(as_json(machine, outcomes))
    (folder / "results.md").write_text(f"{machine.summary}\n\n{markdown_table(outcomes, machine.summary)}\n")
    draw_ratios(outcomes, folder / "ratios.svg")
    if costs := scaling.growth(outcomes):
        draw_growth(costs, folder / "growth.svg")
