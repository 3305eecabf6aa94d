"""A few worlds, and whether planted faults are caught in them. The many are for `python -m campaigns.simulation`.

Worlds live in processes of their own, which have the hash seed that makes them repeatable.
"""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from campaigns.simulation.loop import NothingToDoError, VirtualLoop
from campaigns.simulation.planted_faults import PLANTED_FAULTS

ROOT = Path(__file__).parents[2]


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "campaigns.simulation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.timeout(240)
def test_no_rule_is_broken_in_a_few_worlds() -> None:
    run = simulate("--seeds", "12", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith("12 seeds, ")
    assert "violations: 0" in run.stdout


def test_a_seed_is_lived_through_again_exactly() -> None:
    first, second = (simulate("--seed", "4", "--trace").stdout.splitlines() for _ in range(2))
    events = [line for line in first if line.startswith("    ")]
    assert len(events) > 500
    assert events == [line for line in second if line.startswith("    ")]


@pytest.mark.timeout(240)
def test_simulation_of_planted_faults_catches_each() -> None:
    run = simulate("--planted-faults", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count(": caught in seed ") == len(PLANTED_FAULTS)


def test_virtual_time_costs_nothing_and_is_exact() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(asyncio.sleep(86_400.0))
        assert runner.get_loop().time() == pytest.approx(86_400.0)


def test_waiting_for_nothing_is_an_error_instead_of_a_hang() -> None:
    async def wait_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(NothingToDoError):
        runner.run(wait_for_ever())
