"""Runs cases: baseline and ours in turn, each on a fresh loop, so that whatever drifts bends both."""

import gc
from collections.abc import Callable

import uvloop

from benchmarks.figures import Case, Measure, Measured, Options, Outcome
from benchmarks.machine import describe_machine

Say = Callable[[str], None]


def run_case(case: Case, options: Options, runs: int, say: Say) -> list[Outcome]:
    """What `runs` interleaved pairs gave, after none that is thrown away: every process starts anew each time."""
    pairs, machine = [], describe_machine().in_words
    for number in range(runs):
        pairs.append((_once(case.baseline, options), _once(case.ours, options)))
        say(f"  {number + 1}: " + ", ".join(_pair(one.id, *pairs[-1]) for one in case.figures))
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
    """The collector rests meanwhile: this process plays the servers, and must not be the one that stutters."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_awaited(measure, options))
    finally:
        gc.enable()


async def _awaited(measure: Measure, options: Options) -> Measured:
    return await measure(options)
