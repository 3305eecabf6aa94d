"""Run the baseline and comfywarm alternately, so that changes of the machine's speed affect both."""

import gc
from collections.abc import Callable

import uvloop

from benchmarks.figures import Case, Measure, Measured, Options, Outcome
from benchmarks.machine import this_machine

Print = Callable[[str], None]


def run_case(case: Case, options: Options, runs: int, report: Print) -> list[Outcome]:
    """Run `runs` pairs, each in new processes; return the outcome of each figure."""
    pairs, machine = [], this_machine().summary
    for number in range(runs):
        pairs.append((_once(case.baseline, options), _once(case.ours, options)))
        report(f"  {number + 1}: " + ", ".join(_pair(one.id, *pairs[-1]) for one in case.figures))
    return [
        Outcome(
            figure,
            [ours[figure.id] for _, ours in pairs],
            [baseline[figure.id] for baseline, _ in pairs],
            options.fleet,
            machine,
        )
        for figure in case.figures
    ]


def _pair(figure: str, baseline: Measured, ours: Measured) -> str:
    return f"{figure} {ours[figure]:.4g} against {baseline[figure]:.4g}"


def _once(measure: Measure, options: Options) -> Measured:
    """Run without garbage collection, which would pause the servers that this process provides."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_awaited(measure, options))
    finally:
        gc.enable()


async def _awaited(measure: Measure, options: Options) -> Measured:
    return await measure(options)
