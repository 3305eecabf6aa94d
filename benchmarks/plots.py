"""The results as pictures: every ratio beside its target, and what a server costs as the fleet grows."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure as Picture

from benchmarks.figures import Outcome

WIDTH, ROW = 9.0, 0.42
rcParams["svg.hashsalt"] = "comfywarm"  # equal results are equal files: with the time left out too
UNDATED = {"Date": None}
REACHED, MISSED = "#2a7f5f", "#b3552e"


def draw_ratios(outcomes: Sequence[Outcome], path: Path) -> None:
    """One bar for each figure: how many times better than what was to be reached, 1 being just that."""
    picture = Picture(figsize=(WIDTH, 1.2 + ROW * len(outcomes)), layout="constrained")
    axes = picture.subplots()
    shares = [_times_better(outcome) for outcome in outcomes]
    colours = [REACHED if outcome.reached else MISSED for outcome in outcomes]
    axes.barh([outcome.figure.title for outcome in outcomes], shares, color=colours)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("times better than what was to be reached (the line); the right of it is good")
    picture.savefig(path, metadata=UNDATED)


def _times_better(outcome: Outcome) -> float:
    if outcome.figure.better == "higher":
        return outcome.ratio / outcome.figure.target
    return outcome.figure.target / outcome.ratio


def draw_growth(costs: dict[str, dict[int, float]], path: Path) -> None:
    """What one server costs, a line for each kind of cost; `costs` is title → servers in the fleet → cost."""
    picture = Picture(figsize=(WIDTH, 3.6), layout="constrained")
    many = picture.subplots(1, len(costs), squeeze=False)[0]
    for axes, (title, by_size) in zip(many, costs.items(), strict=True):
        axes.plot(list(by_size), list(by_size.values()), marker="o", color=REACHED)
        axes.set_xscale("log")
        axes.set_xticks(list(by_size), [f"{size:,}" for size in by_size], minor=False)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("servers in the fleet")
        axes.set_title(title, fontsize=10)
    picture.savefig(path, metadata=UNDATED)
