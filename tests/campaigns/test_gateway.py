"""A short campaign of killed gateways; `python -m campaigns.gateway` is the long one, which also kills servers."""

from pathlib import Path

import pytest

from campaigns.gateway.campaign import campaign
from campaigns.gateway.clients import End
from campaigns.gateway.moments import Kill, Moment, Moments, Target
from campaigns.gateway.simulated import simulated_fleet

SEED = 1
INTERVAL_S = 0.1
KILLS = [
    Kill(Target.GATEWAY, Moment.POST_ACCEPTED, 0.0, 0.2, place=0),
    Kill(Target.DAEMON, Moment.PROMPT_RUNS, 0.0, 0.0, place=0),
    Kill(Target.GATEWAY, Moment.POST_ARRIVES, 0.0, 0.0, place=1),
]


@pytest.mark.campaign
@pytest.mark.timeout(180)
async def test_gateway_campaign_of_three_kills_has_no_violation(tmp_path: Path) -> None:
    happened = Moments()
    async with simulated_fleet(SEED, happened) as fleet:
        report = await campaign(tmp_path, fleet, happened, KILLS, INTERVAL_S)
    assert report.violations == []
    assert set(report.kills) == {str(kill) for kill in KILLS}
    assert set(report.ends) == {End.SUCCEEDED}
