"""A rolling restart over simulated servers; `python -m campaigns.rollout` also kills the daemon."""

from pathlib import Path

import pytest

from campaigns.rollout.campaign import campaign
from campaigns.rollout.simulated import simulated_fleet

INTERVAL_S = 0.2


@pytest.mark.campaign
@pytest.mark.timeout(180)
async def test_rollout_campaign_has_no_violation(tmp_path: Path) -> None:
    async with simulated_fleet(1) as fleet:
        report = await campaign(tmp_path, fleet, INTERVAL_S)
    assert report.violations == []
    assert report.least_warm == 4
    assert report.prompts > 20
