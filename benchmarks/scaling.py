"""How the cost of a server depends on how many there are: each size of fleet beside a tenth of the largest.

What the program itself costs, with one server, is taken off. Checks come every ten seconds, so that a small fleet too
does enough to be measured. A pair takes about three minutes at 10,000 servers.
"""

import asyncio
from collections.abc import Iterable, Mapping
from statistics import median

from benchmarks.figures import Case, Figure, Measured, Options, Outcome
from benchmarks.fleet import cores, ready_daemon, settling_s
from benchmarks.stand_in import StandIn

PARTS: Mapping[str, int] = {"a_hundredth": 100, "half": 2, "all": 1}
"""Of the largest fleet: 100, 5,000 and 10,000 servers."""
REFERENCE_PART = 10

INTERVAL_S = 10.0
MEASURED_S = 10.0

MEMORY, PROCESSOR = "memory", "processor"
TITLES = {MEMORY: "Memory for each server", PROCESSOR: "Processor for each server at rest"}
UNITS = {MEMORY: "KiB", PROCESSOR: "µs/s"}

FIGURES = tuple(
    Figure(
        f"{cost}_at_{part}", f"{TITLES[cost]}, {part.replace('_', ' ')} of the largest fleet", UNITS[cost],
        "a tenth of the largest fleet", 1.15, "lower",
    )
    for cost in TITLES for part in PARTS
)  # fmt: skip


async def _ours(options: Options) -> Measured:
    program = await _costs(1)
    measured: Measured = {}
    for part, divisor in PARTS.items():
        each = await _for_each(_size(options.fleet, divisor), program)
        measured |= {f"{cost}_at_{part}": each[cost] for cost in TITLES}
    return measured


async def _reference(options: Options) -> Measured:
    each = await _for_each(_size(options.fleet, REFERENCE_PART), await _costs(1))
    return {f"{cost}_at_{part}": each[cost] for cost in TITLES for part in PARTS}


def _size(fleet: int, divisor: int) -> int:
    return max(2, fleet // divisor)


async def _for_each(servers: int, program: Measured) -> Measured:
    """What each server costs beyond the first, whose daemon is the program."""
    whole = await _costs(servers)
    return {cost: (whole[cost] - program[cost]) / (servers - 1) for cost in TITLES}


async def _costs(servers: int) -> Measured:
    """Of a daemon with so many servers, at rest."""
    async with StandIn(servers).listening() as fleet, ready_daemon(fleet.urls, INTERVAL_S) as child:
        await asyncio.sleep(settling_s(servers))
        memory = child.memory_bytes() / 1024
        return {MEMORY: memory, PROCESSOR: await cores(child, MEASURED_S) * 1e6}


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
