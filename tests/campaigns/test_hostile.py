"""A short campaign of hostile servers, its report, and its search for secrets."""

from pathlib import Path

import pytest

from campaigns.hostile.campaign import Plan, campaign
from campaigns.hostile.kinds import KINDS
from campaigns.hostile.report import Report, Run
from campaigns.hostile.secrets import SECRET, echoes, leaks

LEAST_KINDS = 20
SHORT = Plan(honest=24, seconds=40.0)


@pytest.mark.ratios
@pytest.mark.timeout(400)
async def test_hostile_campaign_keeps_every_figure_within_its_limit(tmp_path: Path) -> None:
    report = await campaign(tmp_path, SHORT)
    print(*report.figures, *report.notes, *report.details, sep="\n")
    assert [str(figure) for figure in report.figures if not figure.good] == []


def test_hostile_kinds_are_many() -> None:
    assert len(KINDS) >= LEAST_KINDS


def good_run(**changes: object) -> Run:
    run = Run(loaded_s=10.0, seconds=60.0, healthz_s=[(0.3, 0.01)], peak_mib=100.0, longest_gap_s=3.4)
    for name, value in changes.items():
        setattr(run, name, value)
    return run


@pytest.mark.parametrize(
    "changes",
    [
        {"loaded_s": 20.1},
        {"healthz_s": [(0.3, 0.26)]},
        {"healthz_s": []},
        {"unanswered": 1},
        {"peak_mib": 401.0},
        {"longest_gap_s": 10.1},
        {"killed": True},
        {"left_loaded": ["honest-00: unknown"]},
        {"wrong_warm_ups": ["honest-00: 2 warm-ups"]},
        {"leaks": ["/api/status"]},
        {"faults": ["Traceback"]},
        {"log_bytes": 2_000_000},
        {"status_bytes": 200_000},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_report_with_one_figure_above_its_limit_is_not_good(changes: dict[str, object]) -> None:
    assert Report(good_run(), good_run()).good
    assert not Report(good_run(), good_run(**changes)).good


@pytest.mark.parametrize("echo", echoes())
def test_secret_in_any_spelling_is_found(echo: str) -> None:
    assert leaks({"log": f"x {echo} y".encode(), "page": b"s3cret ***"}) == ["log"]


def test_secret_is_worth_searching() -> None:
    assert not SECRET.isalnum()
