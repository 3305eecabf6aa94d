"""The measurement of a large fleet, over a small one."""

import pytest

from campaigns.scale.__main__ import printed, run


@pytest.mark.campaign
def test_nodes_share_the_fleet_before_and_after_a_loss() -> None:
    report = run(servers=40, nodes=3)
    assert [one.name for one in report.stages] == ["start", "rest", "loss of a node", "a node joins"]
    assert all(one.writes for one in report.stages)
    assert report.page.bytes > 40 * 100
    assert printed(report).startswith("40 servers, 3 nodes\n")
