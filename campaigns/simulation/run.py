"""Run a simulation in virtual time and report the errors that its daemon logs."""

import asyncio
import gc
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from campaigns.simulation.daemon import REAL_PARTS, Parts
from campaigns.simulation.loop import DeadlockError, VirtualLoop
from campaigns.simulation.scenario import FirstServer
from campaigns.simulation.simulation import TAIL, Result, Simulation

if TYPE_CHECKING:
    from loguru import Message


def run_seed(
    seed: int,
    *,
    parts: Parts = REAL_PARTS,
    without: Collection[StrEnum] = (),
    full_trace: bool = False,
    first: FirstServer | None = None,
) -> Result:
    """Run one seed, with this first server if one is given.

    With the same PYTHONHASHSEED, the same seed gives the same run.
    """
    keep = None if full_trace else TAIL
    return run_simulation(VirtualLoop, lambda folder: Simulation(seed, folder, parts, without, keep=keep, first=first))


def run_simulation(loop: Callable[[], VirtualLoop], make: Callable[[Path], Simulation]) -> Result:
    """Run the simulation that `make` returns for a new temporary folder."""
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder, asyncio.Runner(loop_factory=loop) as runner:
        simulation = make(Path(folder))
        with fail_on_logged_errors(simulation):
            try:
                runner.run(simulation.run())
            except DeadlockError:
                simulation.fail("-", "deadlock: no task is ready and no timer is set")
        return simulation.result(runner.get_loop().time())


def scratch_folder() -> str | None:
    """Return a folder in shared memory for temporary files, or None if the host has none."""
    shared_memory = Path("/dev/shm")
    return str(shared_memory) if shared_memory.is_dir() else None


@contextmanager
def fail_on_logged_errors(simulation: Simulation) -> Iterator[None]:
    """Report each exception that the daemon logs as a violation; switch the garbage collector off."""

    def on_message(message: "Message") -> None:
        if message.record["exception"] is not None:
            simulation.fail("-", f"exception in the daemon: {message}")

    logger.remove()
    sink = logger.add(on_message, level="ERROR", format="{message}", backtrace=False, diagnose=False)
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        logger.remove(sink)
        if collecting:
            gc.enable()
