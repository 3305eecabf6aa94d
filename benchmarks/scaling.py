"""The cost per server by size of the fleet, compared with a tenth of the largest fleet.

The cost of a daemon with one server is subtracted. Every fleet runs as many checks per second, so that only the size
differs: with few checks, each would wake the process and cost more. The pings of the sockets come in bursts; the case
measures between them. A pair takes about three minutes with 10,000 servers.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from statistics import median

from benchmarks.figures import Case, Figure, Measured, Options, Outcome
from benchmarks.fleet import cores, ready_daemon, settle_s
from benchmarks.stand_in import StandIn

FRACTIONS: Mapping[str, int] = {"a_hundredth": 100, "half": 2, "all": 1}
"""Divisors of the largest fleet: 100, 5,000 and 10,000 servers."""
BASELINE_DIVISOR = 10

CHECKS_PER_S = 60
SHORTEST_INTERVAL_S = 1.5
"""Longer than the daemon keeps the connection of a check, because an open connection makes the next check cheaper."""
MEASURED_S = 10.0
PING_INTERVAL_S = 31.0
"""The daemon's ping interval, and one second for the last pings."""

MEMORY, PROCESSOR = "memory", "processor"
TITLES = {MEMORY: "Memory per server", PROCESSOR: f"Processor time per check, {CHECKS_PER_S} checks/s"}
UNITS = {MEMORY: "KiB", PROCESSOR: "µs"}

FIGURES = tuple(
    Figure(
        f"{cost}_at_{part}", f"{TITLES[cost]}, {100 // FRACTIONS[part]}% of the largest fleet", UNITS[cost],
        "10% of the largest fleet", 1.15, "lower",
    )
    for cost in TITLES for part in FRACTIONS
)  # fmt: skip


async def _ours(options: Options) -> Measured:
    program = await _single_server()
    measured: Measured = {}
    for part, divisor in FRACTIONS.items():
        each = await _per_server(_size(options.fleet, divisor), program)
        measured |= {f"{cost}_at_{part}": each[cost] for cost in TITLES}
    return measured


async def _baseline(options: Options) -> Measured:
    each = await _per_server(_size(options.fleet, BASELINE_DIVISOR), await _single_server())
    return {f"{cost}_at_{part}": each[cost] for cost in TITLES for part in FRACTIONS}


def _size(fleet: int, divisor: int) -> int:
    return max(2, fleet // divisor)


async def _single_server() -> Measured:
    """Return the costs of a daemon with one server that it checks rarely."""
    costs, _ = await _costs(1, interval_s=60.0)
    return costs


async def _per_server(servers: int, program: Measured) -> Measured:
    """Return the additional cost of each server and of each check."""
    costs, checks = await _costs(servers, max(SHORTEST_INTERVAL_S, servers / CHECKS_PER_S))
    among = {MEMORY: servers - 1, PROCESSOR: checks}
    return {cost: (costs[cost] - program[cost]) / among[cost] for cost in TITLES}


async def _costs(servers: int, interval_s: float) -> tuple[Measured, int]:
    """Return memory (KiB) and processor time (µs) of an idle daemon, and its checks in that time."""
    began = time.monotonic()
    async with StandIn(servers).listening() as fleet, ready_daemon(fleet.urls, interval_s) as child:
        await asyncio.sleep(_wait_s(servers, time.monotonic() - began))
        memory, before = child.memory_bytes() / 1024, fleet.checks
        used = await cores(child, MEASURED_S) * MEASURED_S * 1e6
        return {MEMORY: memory, PROCESSOR: used}, fleet.checks - before


def _wait_s(servers: int, started_in_s: float) -> float:
    """Return how long to wait until the fleet is idle and no ping falls into the measurement."""
    settled_s = settle_s(servers)
    return settled_s if started_in_s + settled_s + MEASURED_S < PING_INTERVAL_S else max(settled_s, PING_INTERVAL_S)


def growth(outcomes: Iterable[Outcome]) -> dict[str, dict[int, float]]:
    """Return the costs for `draw_growth`: by title, then by servers. Empty if a figure is missing."""
    found = {outcome.figure.id: outcome for outcome in outcomes}
    if any(figure.id not in found for figure in FIGURES):
        return {}
    drawn = {}
    for cost, title in TITLES.items():
        fleet = found[f"{cost}_at_all"].fleet
        by_size = {_size(fleet, FRACTIONS[part]): median(found[f"{cost}_at_{part}"].ours) for part in FRACTIONS}
        by_size[_size(fleet, BASELINE_DIVISOR)] = median(found[f"{cost}_at_all"].baseline)
        drawn[f"{title} ({UNITS[cost]})"] = dict(sorted(by_size.items()))
    return drawn


CASE = Case(FIGURES, _ours, _baseline)
