"""How many transitions a second the journal makes durable and tells, in a process of its own."""

from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.processes import started

TRANSITIONS = Figure(
    "journal_transitions", "Transitions a second written, committed and told, in batches of 100", "transitions/s",
    "sqlite3 alone, rows made beforehand, the same table and batches", 0.7, "higher",
)  # fmt: skip


async def _measured(what: str) -> Measured:
    async with started("-m", "benchmarks.baselines.journal", what) as child:
        return {TRANSITIONS.id: (await child.said())["rate"]}


async def _ours(_: Options) -> Measured:
    return await _measured("ours")


async def _bare(_: Options) -> Measured:
    return await _measured("bare")


CASE = Case((TRANSITIONS,), _ours, _bare)
