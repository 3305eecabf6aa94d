"""How long the event loop of the largest fleet is held up at worst, while jobs of others come and go on its servers.

Both are the same daemon, which `stalls_launcher` starts: once with its collector policy, once without. Each is watched
for ten minutes, in five runs of two minutes; the figure is the median of their longest.
"""

import itertools
import signal
from collections.abc import Iterator
from random import Random

from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.fleet import START_WITHIN_S, settling_s, until_ready
from benchmarks.frames import mixed_traffic
from benchmarks.processes import daemon
from benchmarks.stand_in import StandIn, status_frame

PACE = 1_000.0
JOB_EVERY = 50
"""Frames. Each job's end makes its server unknown, and has it checked: 60 transitions a second."""

STALL = Figure(
    "longest_stall",
    "Longest stall of the event loop, with foreign jobs on the largest fleet, over ten minutes, in five runs", "ms",
    "the same daemon, the garbage collector left alone", 0.2, "lower",
)  # fmt: skip


async def _ours(options: Options) -> Measured:
    return await _longest("kept_short", options)


async def _left_alone(options: Options) -> Measured:
    return await _longest("left_alone", options)


async def _longest(collector: str, options: Options) -> Measured:
    launcher = ("-m", "benchmarks.stalls_launcher", collector)
    async with StandIn(options.fleet).listening() as fleet, daemon(fleet.urls, launcher=launcher) as ours:
        await until_ready(ours.url)
        await fleet.pace(_traffic(options.fleet), PACE, settling_s(options.fleet))
        ours.child.process.send_signal(signal.SIGUSR1)
        await ours.child.said(START_WITHIN_S)
        await fleet.pace(_traffic(options.fleet), PACE, options.stall_seconds)
        ours.child.process.send_signal(signal.SIGUSR1)
        said = await ours.child.said(START_WITHIN_S)
        return {STALL.id: said["longest_s"] * 1_000}


def _traffic(servers: int) -> Iterator[tuple[int, bytes]]:
    """For servers at random: frames that change nothing, and now and then a job's beginning and end."""
    chance = Random(1)  # noqa: S311 - the same for both
    for number, frame in enumerate(itertools.cycle(mixed_traffic()), start=1):
        server = chance.randrange(servers)
        if number % JOB_EVERY == 0:
            yield server, status_frame(1)
            yield server, status_frame(0)
        else:
            yield server, frame


CASE = Case((STALL,), _ours, _left_alone)
