"""The results as a Markdown table and as JSON."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from benchmarks.figures import Figure, Options, Outcome
from benchmarks.machine import Machine, as_dict, summary

HEAD = (
    "| figure | comfywarm | baseline | ratio | spread | target | runs |\n"
    "| --- | ---: | ---: | ---: | ---: | --- | ---: |"
)  # fmt: skip


def markdown_table(outcomes: Sequence[Outcome], machine: str) -> str:
    """Return a Markdown table. It marks missed targets, and figures of another fleet or machine."""
    return "\n".join([HEAD, *(_row(outcome, machine) for outcome in outcomes)])


def _row(outcome: Outcome, machine: str) -> str:
    figure = outcome.figure
    bound = "≥" if figure.better == "higher" else "≤"
    mark = "" if outcome.reached else " **missed**"
    return (
        f"| {figure.title} ({figure.unit}) <br> against {figure.baseline}{_notes(outcome, machine)} "
        f"| {_number(outcome.ours)} "
        f"| {_number(outcome.baseline)} | {outcome.ratio:.2f} × | {outcome.spread:.0%} "
        f"| {bound} {figure.target:g} ×{mark} | {len(outcome.ours)} |"
    )


def _notes(outcome: Outcome, machine: str) -> str:
    """Return the size of the fleet and the machine, where they differ from those of the other figures."""
    fleet = "" if outcome.fleet == Options().fleet else f" <br> with a largest fleet of {outcome.fleet:,}"
    return fleet if outcome.machine == machine else f"{fleet} <br> on {outcome.machine}"


def _number(runs: Sequence[float]) -> str:
    return f"{statistics.median(runs):,.4g}" if statistics.median(runs) < 1_000 else f"{statistics.median(runs):,.0f}"  # noqa: PLR2004


def as_json(machine: Machine, outcomes: Sequence[Outcome]) -> bytes:
    """Return the medians, the ratio and every run of each figure, as JSON."""
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
            "fleet": outcome.fleet,
            "on": outcome.machine,
        }
        for outcome in outcomes
    ]
    results = {"machine": as_dict(machine), "figures": figures}
    return orjson.dumps(results, option=orjson.OPT_INDENT_2) + b"\n"


def from_json(results: bytes) -> list[Outcome]:
    """Return the outcomes from the result of `as_json`."""
    content = orjson.loads(results)
    return [_outcome(figure, content["machine"]) for figure in content["figures"]]


def _outcome(figure: Mapping[str, Any], machine: Mapping[str, Any]) -> Outcome:
    """Build an outcome. Files of earlier versions have neither fleet nor machine for each figure."""
    measured = Figure(
        figure["id"], figure["title"], figure["unit"], figure["against"], figure["target"], figure["better"]
    )
    fleet, on = figure.get("fleet", Options().fleet), figure.get("on", summary(machine))
    return Outcome(measured, figure["all_ours"], figure["all_baseline"], fleet, on)
