"""Transitions per second that the journal commits and publishes, in its own process."""

from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.processes import started

TRANSITIONS = Figure(
    "journal_transitions", "Transitions committed and published, in batches of 100", "transitions/s",
    "sqlite3 with prepared rows, the same table and batches", 0.7, "higher",
)  # fmt: skip


async def _measure(program: str) -> Measured:
    async with started("-m", "benchmarks.baselines.journal", program) as child:
        return {TRANSITIONS.id: (await child.read_line())["rate"]}


async def _ours(_: Options) -> Measured:
    return await _measure("ours")


async def _baseline(_: Options) -> Measured:
    return await _measure("bare")


CASE = Case((TRANSITIONS,), _ours, _baseline)
