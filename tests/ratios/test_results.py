"""The results of the benchmarks: running some cases keeps the figures of the others."""

import shutil
from dataclasses import replace
from pathlib import Path

import benchmarks
from benchmarks.cases import CASES
from benchmarks.figures import Outcome
from benchmarks.machine import this_machine
from benchmarks.results import ORDER, merge_results, read_results, write_results

MACHINE = replace(this_machine(), processor="Abacus")


def measured(name: str, ours: float, on: str = MACHINE.summary) -> list[Outcome]:
    return [Outcome(figure, [ours] * 5, [2.0] * 5, 500, on) for figure in CASES[name].figures]


def test_merge_results_keeps_other_cases_in_order(tmp_path: Path) -> None:
    write_results(tmp_path, MACHINE, merge_results([], [*measured("scaling", 1.0), *measured("fleet", 2.0)]))
    write_results(tmp_path, MACHINE, merge_results(read_results(tmp_path), measured("fleet", 4.0)))
    assert read_results(tmp_path) == [*measured("fleet", 4.0), *measured("scaling", 1.0)]
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "results.md", "ratios.svg", "growth.svg"}


def test_merge_results_removes_unknown_figures() -> None:
    (kept,) = measured("stalls", 1.0)
    assert merge_results([replace(kept, figure=replace(kept.figure, id="removed"))], [kept]) == [kept]


def test_results_figure_of_another_machine_names_it(tmp_path: Path) -> None:
    write_results(tmp_path, MACHINE, [*measured("stalls", 1.0, on="a loom."), *measured("status", 1.0)])
    rows = (tmp_path / "results.md").read_text().splitlines()
    assert [" <br> on a loom." in row for row in rows[-2:]] == [True, False]


def test_read_results_published_ids_are_known(tmp_path: Path) -> None:
    shutil.copy(Path(benchmarks.__file__).parent / "results.json", tmp_path)
    assert {outcome.figure.id for outcome in read_results(tmp_path)} <= set(ORDER)
