"""A chart of the study: cold shares and mean waits of the policies, for each size of the fleet."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure as Picture

from benchmarks.plots import MISSED, NO_DATE, REACHED, ROW, WIDTH
from benchmarks.routing.servers import Replay


def draw(rows: Sequence[tuple[int, str, float, Replay | None]], path: Path) -> None:
    """Draw two bar charts: servers, policy, cold share and replay of each row; a bound has no replay."""
    picture = Picture(figsize=(WIDTH, 1.2 + ROW * len(rows)), layout="constrained")
    left, right = picture.subplots(1, 2, sharey=True)
    names = [f"{policy}, {servers} servers" for servers, policy, _, _ in rows]
    colours = [REACHED if policy == "comfywarm" else MISSED for _, policy, _, _ in rows]
    left.barh(names, [100 * cold for _, _, cold, _ in rows], color=colours)
    right.barh(names, [0.0 if result is None else result.mean_s for *_, result in rows], color=colours)
    left.invert_yaxis()
    left.set_xlabel("cold requests, %")
    right.set_xlabel("mean wait, s")
    picture.savefig(path, metadata=NO_DATE)
