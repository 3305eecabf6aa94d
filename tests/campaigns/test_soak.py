"""The soak's arithmetic, and a run of some seconds."""

from pathlib import Path

import pytest

from campaigns.soak.run import RESTLESS, soak
from campaigns.soak.samples import Sample, compare, rate, tasks_in


def sample(number: int, rss_mib: float, descriptors: int = 50, tasks: int | None = None) -> Sample:
    return Sample(float(number), rss_mib, descriptors, tasks, number * 3, 1.0)


def test_growth_is_told_from_noise() -> None:
    grows = [sample(number, 100.0 + number * 2, tasks=9) for number in range(16)]
    assert [(row.name, row.grows) for row in compare(grows)] == [
        ("RSS MiB", True),
        ("descriptors", False),
        ("asyncio tasks", False),
    ]
    noise = [sample(number, 100.0 + number % 3) for number in range(16)]
    assert [row.grows for row in compare(noise)] == [False, False]
    assert rate(noise) == pytest.approx(3.0)


def test_too_few_samples_prove_nothing() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        compare([sample(number, 1.0) for number in range(7)])


def test_tasks_are_read_where_they_are_told() -> None:
    assert tasks_in("# HELP x\ncomfywarm_asyncio_tasks 12.0\n") == 12
    assert tasks_in("comfywarm_event_streams 1.0\n") is None


async def test_a_short_run_sees_the_daemon_work(tmp_path: Path) -> None:
    told: list[dict[str, int]] = []
    samples = await soak(tmp_path, len(RESTLESS), 4.0, 0.4, lambda _, states: told.append(states))
    assert samples[-1].entries > len(RESTLESS)
    assert 10 < samples[-1].rss_mib < 1000
    assert samples[-1].descriptors > 10
    assert sum(told[-1].values()) == len(RESTLESS)
