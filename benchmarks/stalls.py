"""The longest stall of the event loop while other users' jobs run on the largest fleet.

Both sides are the same daemon, which `stalls_launcher` starts with and without its tuning of the garbage collector.
Each run takes two minutes.
"""

import itertools
import signal
from collections.abc import Iterator
from random import Random

from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.fleet import START_TIMEOUT_S, settle_s, wait_ready
from benchmarks.frames import mixed_frames
from benchmarks.processes import daemon
from benchmarks.stand_in import StandIn, status_frame

PACE = 1_000.0
JOB_EVERY = 50
"""Frames. The end of each job makes its server unknown and starts a check: 60 transitions per second."""

STALL = Figure(
    "longest_stall",
    "Longest stall of the event loop in two minutes, with other users' jobs on the largest fleet", "ms",
    "the same daemon without its tuning of the garbage collector", 0.2, "lower",
)  # fmt: skip


async def _ours(options: Options) -> Measured:
    return await _longest("tuned", options)


async def _baseline(options: Options) -> Measured:
    return await _longest("default", options)


async def _longest(collector: str, options: Options) -> Measured:
    launcher = ("-m", "benchmarks.stalls_launcher", collector)
    async with StandIn(options.fleet).listening() as fleet, daemon(fleet.urls, launcher=launcher) as ours:
        await wait_ready(ours.url)
        await fleet.pace(_traffic(options.fleet), PACE, settle_s(options.fleet))
        ours.child.process.send_signal(signal.SIGUSR1)
        await ours.child.read_line(START_TIMEOUT_S)
        await fleet.pace(_traffic(options.fleet), PACE, options.stall_seconds)
        ours.child.process.send_signal(signal.SIGUSR1)
        report = await ours.child.read_line(START_TIMEOUT_S)
        return {STALL.id: report["longest_s"] * 1_000}


def _traffic(servers: int) -> Iterator[tuple[int, bytes]]:
    """Yield frames for random servers: most change nothing, some are the start and end of a job."""
    chance = Random(1)  # noqa: S311 - the same frames on both sides
    for number, frame in enumerate(itertools.cycle(mixed_frames()), start=1):
        server = chance.randrange(servers)
        if number % JOB_EVERY == 0:
            yield server, status_frame(1)
            yield server, status_frame(0)
        else:
            yield server, frame


CASE = Case((STALL,), _ours, _baseline)
