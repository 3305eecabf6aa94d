"""The results as people and programs read them."""

import statistics
from collections.abc import Sequence

import orjson

from benchmarks.figures import Outcome
from benchmarks.machine import Machine, as_dict

HEAD = (
    "| figure | ours | baseline | ratio | spread | to reach | runs |\n"
    "| --- | ---: | ---: | ---: | ---: | --- | ---: |"
)  # fmt: skip


def as_table(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table. A ratio that misses its target is marked."""
    return "\n".join([HEAD, *map(_row, outcomes)])


def _row(outcome: Outcome) -> str:
    figure = outcome.figure
    bound = "≥" if figure.better == "higher" else "≤"
    mark = "" if outcome.reached else " **missed**"
    return (
        f"| {figure.title} ({figure.unit}) <br> against {figure.baseline} | {_number(outcome.ours)} "
        f"| {_number(outcome.baseline)} | {outcome.ratio:.2f} × | {outcome.spread:.0%} "
        f"| {bound} {figure.target:g} ×{mark} | {len(outcome.ours)} |"
    )


def _number(runs: Sequence[float]) -> str:
    return f"{statistics.median(runs):,.4g}" if statistics.median(runs) < 1_000 else f"{statistics.median(runs):,.0f}"  # noqa: PLR2004


def as_json(machine: Machine, outcomes: Sequence[Outcome]) -> bytes:
    """Medians, the ratio (ours to the baseline's, median of the pairs), and every run."""
    figures = [
        {
            "id": outcome.figure.id,
            "title": outcome.figure.title,
            "ours": statistics.median(outcome.ours),
            "baseline": statistics.median(outcome.baseline),
            "ratio": outcome.ratio,
            "unit": outcome.figure.unit,
            "runs": len(outcome.ours),
            "spread": outcome.spread,
            "target": outcome.figure.target,
            "better": outcome.figure.better,
            "against": outcome.figure.baseline,
            "all_ours": list(outcome.ours),
            "all_baseline": list(outcome.baseline),
        }
        for outcome in outcomes
    ]
    said = {"machine": as_dict(machine), "figures": figures}
    return orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n"
