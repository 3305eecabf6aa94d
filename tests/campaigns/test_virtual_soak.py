"""A short virtual soak and its growth report."""

import subprocess
import sys
from collections import Counter
from enum import StrEnum

import pytest

from campaigns.simulation.simulation import Result
from campaigns.soak.simulation import VirtualSample
from campaigns.soak.virtual import LEAST_SAMPLES, compare, report, run
from tests.support.paths import REPOSITORY


def sample(number: int, objects: int) -> VirtualSample:
    return VirtualSample(float(number), 100.0, 12, 600, number * 9, 1.0, objects, number * 9)


@pytest.mark.campaign
@pytest.mark.timeout(180)
def test_virtual_soak_of_one_day_has_no_violation_or_growth() -> None:
    """The soak runs in a process with the fixed hash seed that makes it repeatable."""
    command = [sys.executable, "-m", "campaigns.soak.virtual", "--servers", "5", "--days", "1", "--seed", "2"]
    process = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=170, check=False)
    assert "violations: none" in process.stdout, process.stdout + process.stderr
    assert process.stdout.count("day ") == LEAST_SAMPLES
    assert "day  1.00: " in process.stdout
    assert "growth: none" in process.stdout
    assert process.returncode == 0


@pytest.mark.campaign
@pytest.mark.timeout(180)
def test_virtual_soak_with_small_keep_prunes_the_journal() -> None:
    result, samples = run(3, 40, 1.0, lambda _: None, keep=1000)
    assert result.violation is None, "\n".join(result.trace)
    assert samples[-1].rows < samples[-1].entries / 2


def test_report_of_growth_or_a_violation_returns_1(capsys: pytest.CaptureFixture[str]) -> None:
    steady = [sample(number, 1000) for number in range(8)]
    growing = [sample(number, 1000 + 50 * number) for number in range(8)]
    good = Result(1, 1.0, faults=Counter[StrEnum](), warm_ups=1, violation=None)
    assert report(good, steady) == 0
    assert report(good, growing) == 1
    assert [row.name for row in compare(growing) if row.grows] == ["gc objects"]
    assert report(Result(1, 1.0, Counter[StrEnum](), 1, "duplicate warm-up: p"), steady) == 1
    assert "duplicate warm-up: p" in capsys.readouterr().out
