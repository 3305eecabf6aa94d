"""How the cost of a server depends on how many there are: each size of fleet beside a tenth of the largest.

What the program itself costs, with one server, is taken off. Each fleet is asked as many checks a second, the interval
growing with it, so that only the size differs: measured at one interval for all, a check is the dearer the fewer there
are, for each then wakes the process, and in ten seconds a hundred servers do too little to be told from noise. The
sockets' pings come in bursts, as the fleet was dialled; it is measured between them. A pair takes about three minutes
at 10,000 servers.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from statistics import median

from benchmarks.figures import Case, Figure, Measured, Options, Outcome
from benchmarks.fleet import cores, ready_daemon, settling_s
from benchmarks.stand_in import StandIn

PARTS: Mapping[str, int] = {"a_hundredth": 100, "half": 2, "all": 1}
"""Of the largest fleet: 100, 5,000 and 10,000 servers."""
REFERENCE_PART = 10

CHECKS_A_SECOND = 60
SHORTEST_INTERVAL_S = 1.5
"""Longer than the daemon keeps a check's connection: to find it open makes the next check cheaper."""
MEASURED_S = 10.0
PINGED_EVERY_S = 31.0
"""Each socket, by the daemon, from when it was opened; and a second in which the last of them are."""

MEMORY, PROCESSOR = "memory", "processor"
TITLES = {MEMORY: "Memory for each server", PROCESSOR: f"Processor for each check at rest, {CHECKS_A_SECOND} a second"}
UNITS = {MEMORY: "KiB", PROCESSOR: "µs"}

FIGURES = tuple(
    Figure(
        f"{cost}_at_{part}", f"{TITLES[cost]}, {part.replace('_', ' ')} of the largest fleet", UNITS[cost],
        "a tenth of the largest fleet", 1.15, "lower",
    )
    for cost in TITLES for part in PARTS
)  # fmt: skip


async def _ours(options: Options) -> Measured:
    program = await _program()
    measured: Measured = {}
    for part, divisor in PARTS.items():
        each = await _for_each(_size(options.fleet, divisor), program)
        measured |= {f"{cost}_at_{part}": each[cost] for cost in TITLES}
    return measured


async def _reference(options: Options) -> Measured:
    each = await _for_each(_size(options.fleet, REFERENCE_PART), await _program())
    return {f"{cost}_at_{part}": each[cost] for cost in TITLES for part in PARTS}


def _size(fleet: int, divisor: int) -> int:
    return max(2, fleet // divisor)


async def _program() -> Measured:
    """What the daemon costs with one server that is hardly ever asked."""
    costs, _ = await _costs(1, interval_s=60.0)
    return costs


async def _for_each(servers: int, program: Measured) -> Measured:
    """What each server, and each check, costs beyond the program."""
    costs, checks = await _costs(servers, max(SHORTEST_INTERVAL_S, servers / CHECKS_A_SECOND))
    among = {MEMORY: servers - 1, PROCESSOR: checks}
    return {cost: (costs[cost] - program[cost]) / among[cost] for cost in TITLES}


async def _costs(servers: int, interval_s: float) -> tuple[Measured, int]:
    """Of a daemon with so many servers, at rest: KiB, µs in the time that is measured; and the checks in that time."""
    began = time.monotonic()
    async with StandIn(servers).listening() as fleet, ready_daemon(fleet.urls, interval_s) as child:
        await asyncio.sleep(_quiet_after_s(servers, time.monotonic() - began))
        memory, before = child.memory_bytes() / 1024, fleet.asked
        used = await cores(child, MEASURED_S) * MEASURED_S * 1e6
        return {MEMORY: memory, PROCESSOR: used}, fleet.asked - before


def _quiet_after_s(servers: int, started_in_s: float) -> float:
    """How long after such a start so many are at rest, and not pinged while they are measured."""
    settled_s = settling_s(servers)
    return settled_s if started_in_s + settled_s + MEASURED_S < PINGED_EVERY_S else max(settled_s, PINGED_EVERY_S)


def growth(outcomes: Iterable[Outcome]) -> dict[str, dict[int, float]]:
    """Title → servers in the fleet → what each cost there, for `draw_growth`; nothing where it was not measured."""
    found = {outcome.figure.id: outcome for outcome in outcomes}
    if any(figure.id not in found for figure in FIGURES):
        return {}
    drawn = {}
    for cost, title in TITLES.items():
        fleet = found[f"{cost}_at_all"].fleet
        by_size = {_size(fleet, PARTS[part]): median(found[f"{cost}_at_{part}"].ours) for part in PARTS}
        by_size[_size(fleet, REFERENCE_PART)] = median(found[f"{cost}_at_all"].baseline)
        drawn[f"{title} ({UNITS[cost]})"] = dict(sorted(by_size.items()))
    return drawn


CASE = Case(FIGURES, _ours, _reference)
