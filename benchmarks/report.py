"""The results as people and programs read them."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from benchmarks.figures import Figure, Options, Outcome
from benchmarks.machine import Machine, as_dict, in_words

HEAD = (
    "| figure | ours | baseline | ratio | spread | to reach | runs |\n"
    "| --- | ---: | ---: | ---: | ---: | --- | ---: |"
)  # fmt: skip


def as_table(outcomes: Sequence[Outcome], machine: str) -> str:
    """A Markdown table. A ratio that misses its target is marked; a figure of another fleet or machine says so."""
    return "\n".join([HEAD, *(_row(outcome, machine) for outcome in outcomes)])


def _row(outcome: Outcome, machine: str) -> str:
    figure = outcome.figure
    bound = "≥" if figure.better == "higher" else "≤"
    mark = "" if outcome.reached else " **missed**"
    return (
        f"| {figure.title} ({figure.unit}) <br> against {figure.baseline}{_apart(outcome, machine)} "
        f"| {_number(outcome.ours)} "
        f"| {_number(outcome.baseline)} | {outcome.ratio:.2f} × | {outcome.spread:.0%} "
        f"| {bound} {figure.target:g} ×{mark} | {len(outcome.ours)} |"
    )


def _apart(outcome: Outcome, machine: str) -> str:
    """In what it is unlike the other figures."""
    fleet = "" if outcome.fleet == Options().fleet else f" <br> the largest fleet being of {outcome.fleet:,}"
    return fleet if outcome.machine == machine else f"{fleet} <br> on {outcome.machine}"


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
            "fleet": outcome.fleet,
            "on": outcome.machine,
        }
        for outcome in outcomes
    ]
    said = {"machine": as_dict(machine), "figures": figures}
    return orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n"


def from_json(results: bytes) -> list[Outcome]:
    """What `as_json` gave."""
    said = orjson.loads(results)
    return [_outcome(figure, said["machine"]) for figure in said["figures"]]


def _outcome(said: Mapping[str, Any], machine: Mapping[str, Any]) -> Outcome:
    """Before figures were kept from run to run, all of a file were of one machine and of the usual fleet."""
    figure = Figure(said["id"], said["title"], said["unit"], said["against"], said["target"], said["better"])
    fleet, on = said.get("fleet", Options().fleet), said.get("on", in_words(machine))
    return Outcome(figure, said["all_ours"], said["all_baseline"], fleet, on)
