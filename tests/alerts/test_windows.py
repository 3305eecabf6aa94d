"""Maintenance windows silence alerts; what still holds afterwards is announced then."""

from datetime import UTC, datetime
from typing import Any

from statemachine.alerts.incidents import SILENCE_LOOK_S
from statemachine.alerts.overview import MOST_LISTED, alert_overview
from statemachine.core.vocabulary import Notice, State
from statemachine.settings.maintenance import MaintenanceWindow
from tests.alerts.samples import EPOCH, EvaluatorHarness, rule, summary

HOUR_S = 3_600.0


def window_now(**keys: Any) -> MaintenanceWindow:
    """Return a window that is open for the first hour."""
    start = datetime.fromtimestamp(EPOCH // 60 * 60, UTC)
    given = {"name": "now", "at": start.strftime("%H:%M"), "duration": "1h", "zone": "UTC", **keys}
    return MaintenanceWindow.model_validate(given)


def in_window(**keys: Any) -> EvaluatorHarness:
    harness = EvaluatorHarness()
    harness.evaluator.apply([rule(), rule("network", notices=["fleet_vanished"])], 0.0, 0.0, (window_now(**keys),))
    return harness


def test_alert_in_a_window_is_announced_after_it_if_it_still_holds() -> None:
    harness = in_window()
    harness.set_state(State.FAILED, "a:1", "b:1")
    assert harness.advance(HOUR_S / 2, 30.0) == []
    harness.set_state(State.LOADED, "b:1")
    announced = harness.advance(HOUR_S / 2 + SILENCE_LOOK_S)
    assert summary(announced) == [("firing", "down", ("a:1",))]
    assert announced[0].alerts[0].since == EPOCH


def test_window_of_a_group_silences_no_other_group_and_no_notice() -> None:
    harness = in_window(groups=["lab"])
    harness.set_state(State.FAILED, "a:1", group="lab")
    harness.set_state(State.FAILED, "b:1", group="public")
    harness.notice(Notice.FLEET_VANISHED)
    assert sorted(summary(harness.due())) == [("firing", "down", ("b:1",)), ("firing", "network", ("#fleet_vanished",))]
    assert harness.advance(HOUR_S / 2, 30.0) == []
    assert summary(harness.advance(HOUR_S)) == [("firing", "down", ("a:1",))]


def test_window_of_all_groups_silences_notices() -> None:
    harness = in_window()
    harness.notice(Notice.FLEET_VANISHED)
    assert harness.advance(HOUR_S / 2, 30.0) == []
    assert summary(harness.advance(HOUR_S)) == [("firing", "network", ("#fleet_vanished",))]


def test_recovery_in_a_window_is_announced_after_it() -> None:
    harness = EvaluatorHarness(rule())
    harness.set_state(State.FAILED, "a:1")
    assert summary(harness.due()) == [("firing", "down", ("a:1",))]
    harness.evaluator.apply([rule()], 0.0, harness.now, (window_now(),))
    harness.set_state(State.LOADED, "a:1")
    assert harness.advance(HOUR_S / 2, 30.0) == []
    assert summary(harness.advance(HOUR_S)) == [("recovered", "down", ("a:1",))]


def test_evaluator_is_asked_rarely_in_a_window() -> None:
    harness = in_window()
    harness.set_state(State.FAILED, "a:1")
    harness.due()
    assert harness.evaluator.next_due() == SILENCE_LOOK_S


def test_overview_shows_alerts_with_their_silence_and_the_windows() -> None:
    harness = in_window(groups=["lab"])
    harness.set_state(State.FAILED, "a:1", group="lab")
    harness.set_state(State.FAILED, "b:1", group="public")
    harness.due()
    shown = alert_overview(harness.evaluator.active(), (window_now(groups=["lab"]),), EPOCH)
    assert [(one["server"], one["announced"], one["silenced_by"]) for one in shown["alerts"]] == [
        ("b:1", True, None),
        ("a:1", False, "now"),
    ]
    assert shown["total"] == 2
    (window,) = shown["windows"]
    assert window["open_until"] == shown["alerts"][1]["silenced_until"] is not None
    closed = alert_overview([], (window_now(),), EPOCH + HOUR_S)
    assert closed["windows"][0]["open_until"] is None
    cron = alert_overview([], (window_now(at=None, cron="*/5 * * * *"),), EPOCH)["windows"][0]
    assert (cron["cron"], cron["at"], window["cron"]) == ("*/5 * * * *", None, None)


def test_overview_lists_notices_and_a_bounded_number() -> None:
    harness = EvaluatorHarness(rule(), rule("network", notices=["fleet_vanished"]))
    harness.notice(Notice.FLEET_VANISHED)
    harness.set_state(State.FAILED, *(f"a:{port}" for port in range(1, MOST_LISTED + 2)))
    harness.due()
    shown = alert_overview(harness.evaluator.active(), (), EPOCH)
    assert (shown["total"], len(shown["alerts"])) == (MOST_LISTED + 2, MOST_LISTED)
    assert [one["reason"] for one in shown["alerts"] if one["server"] is None] == ["fleet_vanished"]
