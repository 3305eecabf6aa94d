"""A short cluster campaign with every fault; `python -m campaigns.cluster` is the long one."""

from pathlib import Path

import pytest

from campaigns.cluster.campaign import Plan, campaign

pytestmark = pytest.mark.cluster

SHORT = Plan(kills=5, freezes=1, brokers=3, damage_s=15.0, away_s=15.0, joins=True, servers=400, seed=7)


@pytest.mark.timeout(400)
async def test_cluster_campaign_with_every_fault_has_no_violation(tmp_path: Path) -> None:
    report = await campaign(tmp_path, SHORT)
    assert report.violations == []
