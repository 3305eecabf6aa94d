"""A short campaign with every fault; the long one is `python -m campaigns.cluster`."""

from pathlib import Path

import pytest

from campaigns.cluster.campaign import Plan, campaign

pytestmark = pytest.mark.cluster

SHORT = Plan(kills=5, freezes=1, brokers=3, away_s=15.0, joins=True, seed=7)


@pytest.mark.timeout(400)
async def test_nothing_is_sent_twice_or_left_alone_whoever_dies_freezes_comes_or_goes(tmp_path: Path) -> None:
    report = await campaign(tmp_path, SHORT)
    assert report.violations == []
