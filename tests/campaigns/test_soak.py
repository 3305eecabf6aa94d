"""The soak's comparison of samples, and a run of a few seconds."""

from pathlib import Path

import pytest

from campaigns.soak.run import FAULTY_SERVERS, soak
from campaigns.soak.samples import Sample, compare, rate, tasks_in


def sample(number: int, rss_mib: float, descriptors: int = 50, tasks: int | None = None) -> Sample:
    return Sample(float(number), rss_mib, descriptors, tasks, number * 3, 1.0)


def test_compare_of_growth_and_noise_detects_only_growth() -> None:
    grows = [sample(number, 100.0 + number * 2, tasks=9) for number in range(16)]
    assert [(row.name, row.grows) for row in compare(grows)] == [
        ("RSS MiB", True),
        ("descriptors", False),
        ("asyncio tasks", False),
    ]
    noise = [sample(number, 100.0 + number % 3) for number in range(16)]
    assert [row.grows for row in compare(noise)] == [False, False]
    assert rate(noise) == pytest.approx(3.0)


def test_compare_of_seven_samples_raises_value_error() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        compare([sample(number, 1.0) for number in range(7)])


def test_tasks_in_metrics_are_read_if_present() -> None:
    assert tasks_in("# HELP x\ncomfywarm_asyncio_tasks 12.0\n") == 12
    assert tasks_in("comfywarm_event_streams 1.0\n") is None


@pytest.mark.campaign
async def test_soak_of_four_seconds_samples_the_daemon(tmp_path: Path) -> None:
    counts: list[dict[str, int]] = []
    samples = await soak(tmp_path, len(FAULTY_SERVERS), 4.0, 0.4, lambda _, states: counts.append(states))
    assert samples[-1].entries > len(FAULTY_SERVERS)
    assert 10 < samples[-1].rss_mib < 1000
    assert samples[-1].descriptors > 10
    assert sum(counts[-1].values()) == len(FAULTY_SERVERS)
