"""A short rolling restart over simulated servers; `python -m campaigns.rollout --real` is the long one."""

from pathlib import Path

import pytest

from campaigns.rollout.campaign import campaign
from campaigns.rollout.simulated import simulated_fleet

INTERVAL_S = 0.2


@pytest.mark.timeout(180)
async def test_rollout_campaign_has_no_violation(tmp_path: Path) -> None:
    async with simulated_fleet(1) as fleet:
        report = await campaign(tmp_path, fleet, INTERVAL_S)
    assert report.violations == []
    assert report.least_warm == 4
    assert report.prompts > 20


@pytest.mark.timeout(180)
async def test_rollout_campaign_with_killed_daemon_repeats_no_hook(tmp_path: Path) -> None:
    async with simulated_fleet(2) as fleet:
        report = await campaign(tmp_path, fleet, INTERVAL_S, kills=(0.4, 1.0, 2.0))
    assert report.violations == []
    assert report.kills == 3
