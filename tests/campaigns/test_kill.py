"""A short campaign; the long one is `python -m campaigns.kill`."""

from pathlib import Path

import pytest

from campaigns.kill.campaign import campaign

KILLS = 10


@pytest.mark.timeout(150)
async def test_killed_at_any_moment_nothing_is_submitted_twice_lost_or_left_cold(tmp_path: Path) -> None:
    report = await campaign(tmp_path, KILLS, seed=7, longest_life_s=2.0)
    assert report.violations == []
    assert report.kills.total() == KILLS
    assert sum(report.warm_ups.values()) >= len(report.warm_ups) / 2
