"""Replay a trace through each policy; print the table and write it and a chart to benchmarks/results.

The trace itself is not written anywhere. Without --trace, synthetic requests are used.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.routing.chart import draw
from benchmarks.routing.cost import SERVERS, seconds_of_choice
from benchmarks.routing.policies import POLICIES
from benchmarks.routing.report import BOUND, HEAD, OURS, TRIED, Row, distance
from benchmarks.routing.servers import bound, replay
from benchmarks.routing.trace import Request, halves, read_trace, synthetic_trace
from benchmarks.routing.variants import VARIANTS

RESULTS = Path(__file__).parent.parent / "results"
ROOM = 2
LOAD_S = 30.0
FLEETS = (8, 16)
TARGETS = {8: (0.10, 4.8, 30.0), 16: (0.04, 2.1, 30.0)}
"""Cold share, mean and p99 of the wait that comfywarm has to reach on the trace, by number of servers."""


def rows_of(part: str, requests: Sequence[Request], servers: int) -> list[Row]:
    """Return the results of all policies and the bound."""
    names = [f"s{number}" for number in range(servers)]
    policies = {**POLICIES, **VARIANTS}
    results = {name: replay(requests, names, build(names), ROOM, LOAD_S) for name, build in policies.items()}
    found = [Row(part, servers, name, result.cold_share, result) for name, result in results.items()]
    return [*found, Row(part, servers, BOUND, bound(requests, servers * ROOM))]


def main() -> int:
    """Run the study; return 1 if comfywarm misses a target on the whole trace."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument("--trace", type=Path, help="CSV file with the columns at_s, model and run_s")
    arguments = parser.parse_args()
    requests = read_trace(arguments.trace) if arguments.trace else synthetic_trace()
    name = "trace" if arguments.trace else "synthetic"
    rows = list[Row]()
    for part, some in zip(("all", "first half", "second half"), (requests, *halves(requests)), strict=True):
        for servers in FLEETS:
            rows += rows_of(part, some, servers)
            print("\n".join(map(str, rows[-len(POLICIES) - len(VARIANTS) - 1 :])), flush=True)
    _write(name, len(requests), rows)
    return 0 if name == "synthetic" or all(_reached(row) for row in rows if row.part == "all") else 1


def _write(name: str, count: int, rows: Sequence[Row]) -> None:
    RESULTS.mkdir(exist_ok=True)
    whole = [row for row in rows if row.part == "all"]
    title = f"{count:,} requests ({name}), {ROOM} models a server, {LOAD_S:.0f} s a load, knowledge learned on the way."
    cost = f"A choice among {SERVERS:,} servers took {1e6 * seconds_of_choice():.0f} µs where this was written."
    distances = "\n".join(distance([row for row in whole if row.servers == servers]) for servers in FLEETS)
    table = "\n".join([HEAD, *map(str, rows)])
    (RESULTS / f"routing-{name}.md").write_text(f"{title}\n\n{table}\n\n{distances}\n\n{cost}\n\n{TRIED}\n")
    draw([(row.servers, row.policy, row.cold_share, row.result) for row in whole], RESULTS / f"routing-{name}.svg")


def _reached(row: Row) -> bool:
    if row.policy != OURS or row.result is None:
        return True
    cold, mean, p99 = TARGETS[row.servers]
    return row.cold_share <= cold and row.result.mean_s <= mean and row.result.quantile_s(0.99) <= p99


if __name__ == "__main__":
    sys.exit(main())
