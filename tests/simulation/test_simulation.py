"""A few simulated days; `make simulate-days` runs more, and the planted faults.

Each run has its own process, whose fixed hash seed makes it repeatable.
"""

import asyncio
import subprocess
import sys

import pytest

from campaigns.simulation.loop import DeadlockError, VirtualLoop
from tests.support.paths import REPOSITORY


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "campaigns.simulation", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seeds", [3, pytest.param(12, marks=pytest.mark.campaign)])
def test_simulation_of_some_seeds_has_no_violation(seeds: int) -> None:
    run = simulate("--seeds", str(seeds), "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith(f"{seeds} seeds, ")
    assert "violations: 0" in run.stdout


@pytest.mark.campaign
@pytest.mark.timeout(240)
def test_simulation_of_one_seed_repeats_its_trace() -> None:
    first, second = (simulate("--seed", "4", "--trace").stdout.splitlines() for _ in range(2))
    events = [line for line in first if line.startswith("    ")]
    assert len(events) > 500
    assert events == [line for line in second if line.startswith("    ")]


def test_virtual_loop_sleep_advances_the_clock_exactly() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(asyncio.sleep(86_400.0))
        assert runner.get_loop().time() == pytest.approx(86_400.0)


def test_virtual_loop_without_timers_raises_deadlock_error() -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(DeadlockError):
        runner.run(wait())
