"""The long run made short, and whether it can tell growth."""

import subprocess
import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path

import pytest

from campaigns.simulation.world import Result
from campaigns.soak.virtual import LEAST_SAMPLES, VirtualSample, compare, live, report

ROOT = Path(__file__).parents[2]


def sample(number: int, objects: int) -> VirtualSample:
    return VirtualSample(float(number), 100.0, 12, 600, number * 9, 1.0, objects, number * 9)


def test_a_day_of_five_servers_breaks_no_rule() -> None:
    """In a process of its own, which has the hash seed that makes it repeatable."""
    command = [sys.executable, "-m", "campaigns.soak.virtual", "--servers", "5", "--days", "1", "--seed", "2"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert "violations: none" in run.stdout, run.stdout + run.stderr
    assert run.stdout.count("day ") == LEAST_SAMPLES
    assert "day  1.00: " in run.stdout
    assert "growth: none" in run.stdout
    assert run.returncode == 0


def test_the_journal_is_pruned_and_checked_all_the_same() -> None:
    result, samples = live(3, 40, 2.0, lambda _: None, keep=1000)
    assert result.violation is None, "\n".join(result.trace)
    assert samples[-1].rows < samples[-1].entries / 2


def test_growth_and_violations_end_in_failure(capsys: pytest.CaptureFixture[str]) -> None:
    steady = [sample(number, 1000) for number in range(8)]
    growing = [sample(number, 1000 + 50 * number) for number in range(8)]
    good = Result(1, 1.0, faults=Counter[StrEnum](), warm_ups=1, violation=None)
    assert report(good, steady) == 0
    assert report(good, growing) == 1
    assert [row.name for row in compare(growing) if row.grows] == ["gc objects"]
    assert report(Result(1, 1.0, Counter[StrEnum](), 1, "rule 2: twice"), steady) == 1
    assert "rule 2: twice" in capsys.readouterr().out
