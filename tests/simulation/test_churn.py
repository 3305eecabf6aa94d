"""Servers come and go for an hour, from sources in trouble: the short form of `python -m campaigns.churn`."""

import pytest

from campaigns.churn.__main__ import run

HOURS = 1.5
PER_HOUR = 60.0


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_churn_warms_every_server_and_removes_none_wrongly() -> None:
    report = run(3, PER_HOUR, HOURS)
    assert report.violations == []
    assert report.joined > 0.8 * HOURS * PER_HOUR
    assert len(report.warm_after_s) > 0.9 * report.joined
    assert {"failures", "empty answers", "partial answers", "repeated addresses"} <= report.troubles.keys()
