"""The text of the study: the table, the distance to the bound, the cost of a choice, and what was tried."""

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from benchmarks.routing.servers import Replay

BASELINE = "shortest queue"
OURS = "comfywarm"
BOUND = "bound: clairvoyant, pooled, no queues"

HEAD = (
    "| requests | servers | policy | cold share | mean wait | p50 | p99 | over 30 s | GPU hours |\n"
    "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)  # fmt: skip

LONG_S = 30.0
"""Waits beyond the time of one load. If their share is below 1 %, the p99 is at most as long."""

TRIED = """\
What was tried:

* The constants of the choice were compared on the two halves of the trace and on synthetic requests. In the ranges that
  were tried (weight of queued work 1 to 1.45, span of the demand 2 h to 3 days, time within which a model is missed
  100 s to 20 min, overdue share 0.1 to 0.5, copies to the power of 1 to 4), fewer cold requests mean more long waits,
  and the mean wait hardly changes. Long waits are below 1 % with these.
* *Decided late*: a request is held until the server that is best for it is idle, at most 60 s; the choice is made again
  at each end and every 2 s. On the first 17 days and their halves, the mean wait changed by -5 to +1 %, the cold share
  by -3 to +4 % (of itself). A client's POST would stay open meanwhile, longer than clients wait, so comfywarm decides
  at arrival.
* *Warmed ahead*: idle servers load the models that are wanted and that no server has, with at most 600 GPU seconds an
  hour. On the same days, the cold share of 8 servers fell by 0.1 to 0.6 points for 3 % more GPU time, and that of 16 by
  at most 0.1; the mean wait changed by -3 to +2 %. Small changes of any constant do as much, so comfywarm does not do
  it.
* Prices on the variance of run times and on the square of the wait gained nothing that a larger weight of queued work
  does not."""


@dataclass(frozen=True, slots=True)
class Row:
    """The result of a policy. Without a replay it is the bound, of which only the cold share is known."""

    part: str
    servers: int
    policy: str
    cold_share: float
    result: Replay | None = None

    @override
    def __str__(self) -> str:
        head = f"| {self.part} | {self.servers} | {self.policy} | {self.cold_share:.2%} |"
        if (result := self.result) is None:
            return f"{head} | | | | |"
        p50, p99 = result.quantile_s(0.5), result.quantile_s(0.99)
        long = result.share_over(LONG_S)
        return f"{head} {result.mean_s:.2f} s | {p50:.0f} s | {p99:.0f} s | {long:.2%} | {result.gpu_s / 3600:.1f} |"


def distance(rows: Sequence[Row]) -> str:
    """Return how near the choice comes to the bound, for rows of one part and size of the fleet."""
    shares = {row.policy: row.cold_share for row in rows}
    ours, bound = shares[OURS], shares[BOUND]
    covered = (shares[BASELINE] - ours) / (shares[BASELINE] - bound)
    return (
        f"{rows[0].servers} servers: {ours:.2%} cold requests are {ours - bound:.2%} above the bound of {bound:.2%}, "
        f"{covered:.1%} of the way to it from the shortest queue."
    )
