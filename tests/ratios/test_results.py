"""The bench's results: a part of the cases measured anew leaves the figures of the others as they were."""

import shutil
from dataclasses import replace
from pathlib import Path

import benchmarks
from benchmarks.cases import CASES
from benchmarks.figures import Outcome
from benchmarks.machine import describe_machine
from benchmarks.results import ORDER, read_results, renewed, write_results

MACHINE = replace(describe_machine(), processor="Abacus")


def measured(name: str, ours: float, on: str = MACHINE.in_words) -> list[Outcome]:
    return [Outcome(figure, [ours] * 5, [2.0] * 5, 500, on) for figure in CASES[name].figures]


def test_what_was_not_measured_anew_is_kept_and_the_order_is_that_of_the_cases(tmp_path: Path) -> None:
    write_results(tmp_path, MACHINE, renewed([], [*measured("scaling", 1.0), *measured("fleet", 2.0)]))
    write_results(tmp_path, MACHINE, renewed(read_results(tmp_path), measured("fleet", 4.0)))
    assert read_results(tmp_path) == [*measured("fleet", 4.0), *measured("scaling", 1.0)]
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "results.md", "ratios.svg", "growth.svg"}


def test_a_figure_that_no_case_has_any_more_goes() -> None:
    (kept,) = measured("stalls", 1.0)
    assert renewed([replace(kept, figure=replace(kept.figure, id="of_old"))], [kept]) == [kept]


def test_a_figure_of_another_machine_says_so(tmp_path: Path) -> None:
    write_results(tmp_path, MACHINE, [*measured("stalls", 1.0, on="a loom."), *measured("status", 1.0)])
    rows = (tmp_path / "results.md").read_text().splitlines()
    assert [" <br> on a loom." in row for row in rows[-2:]] == [True, False]


def test_the_results_that_are_published_can_be_kept(tmp_path: Path) -> None:
    shutil.copy(Path(benchmarks.__file__).parent / "results.json", tmp_path)
    assert {outcome.figure.id for outcome in read_results(tmp_path)} <= set(ORDER)
