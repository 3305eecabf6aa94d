"""A short kill campaign; `python -m campaigns.kill` is the long one."""

from pathlib import Path

import pytest

from campaigns.kill.campaign import campaign

KILLS = 6


@pytest.mark.campaign
@pytest.mark.timeout(150)
async def test_kill_campaign_of_six_kills_has_no_violation(tmp_path: Path) -> None:
    report = await campaign(tmp_path, KILLS, seed=7, longest_run_s=2.0)
    assert report.violations == []
    assert report.kills.total() == KILLS
    assert sum(report.warm_ups.values()) >= len(report.warm_ups) / 2
