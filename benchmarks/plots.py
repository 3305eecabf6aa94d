"""Charts of the results: every ratio and its target, and the cost of a server as the fleet grows."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rcParams
from matplotlib.figure import Figure as Picture

from benchmarks.figures import Outcome

WIDTH, ROW = 9.0, 0.42
rcParams["svg.hashsalt"] = "comfywarm"  # equal results give equal files
NO_DATE = {"Date": None}
REACHED, MISSED = "#2a7f5f", "#b3552e"


def draw_ratios(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw one bar per figure: how many times better than its target, where 1 is the target."""
    picture = Picture(figsize=(WIDTH, 1.2 + ROW * len(outcomes)), layout="constrained")
    axes = picture.subplots()
    shares = [_margin(outcome) for outcome in outcomes]
    colours = [REACHED if outcome.reached else MISSED for outcome in outcomes]
    axes.barh([outcome.figure.title for outcome in outcomes], shares, color=colours)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("times better than the target (the line)")
    picture.savefig(path, metadata=NO_DATE)


def _margin(outcome: Outcome) -> float:
    if outcome.figure.better == "higher":
        return outcome.ratio / outcome.figure.target
    return outcome.figure.target / outcome.ratio


def draw_growth(costs: dict[str, dict[int, float]], path: Path) -> None:
    """Draw a chart for each kind of cost.

    `costs` maps a title to the cost of one server by size of the fleet.
    """
    picture = Picture(figsize=(WIDTH, 3.6), layout="constrained")
    many = picture.subplots(1, len(costs), squeeze=False)[0]
    for axes, (title, by_size) in zip(many, costs.items(), strict=True):
        axes.plot(list(by_size), list(by_size.values()), marker="o", color=REACHED)
        axes.set_xscale("log")
        axes.set_xticks(list(by_size), [f"{size:,}" for size in by_size], minor=False)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("servers in the fleet")
        axes.set_title(title, fontsize=10)
    picture.savefig(path, metadata=NO_DATE)
