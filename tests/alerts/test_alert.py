"""Alerts, and the rules that match them."""

from typing import Any

import pytest

from statemachine.alerts.alert import Alert, alert_of, matches
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Notice, Reason, State
from tests.alerts.samples import rule, server


@pytest.mark.parametrize(
    ("keys", "state", "is_matched"),
    [
        ({"states": ["failed"]}, State.FAILED, True),
        ({"states": ["failed"]}, State.COLD, False),
        ({"states": ["failed"], "reasons": ["out_of_memory"]}, State.FAILED, True),
        ({"states": ["failed"], "reasons": ["missing_models"]}, State.FAILED, False),
        ({"reasons": ["out_of_memory"]}, State.FAILED, True),
        ({"groups": ["public"]}, State.FAILED, True),
        ({"groups": ["lab"]}, State.FAILED, False),
        ({"states": ["failed"], "notices": ["fleet_vanished"]}, State.FAILED, True),
        ({"notices": ["fleet_vanished"]}, State.FAILED, False),
        ({}, State.FAILED, True),
        ({}, State.WARMING, True),
        ({}, State.LOADED, False),
        ({}, State.PAUSED, False),
        ({"reasons": ["pause_requested"]}, State.PAUSED, False),
    ],
)
def test_rule_matches_server_by_all_its_conditions(keys: dict[str, Any], state: State, is_matched: bool) -> None:
    assert matches(rule(**keys), alert_of(server(state=state, group="public"))) is is_matched


@pytest.mark.parametrize(
    ("keys", "is_matched"),
    [
        ({"notices": ["fleet_vanished"]}, True),
        ({"notices": ["fleet_vanished"], "groups": ["lab"], "states": ["failed"]}, True),
        ({"notices": ["journal_unavailable"]}, False),
        ({}, False),
        ({"reasons": ["journal_unavailable"]}, False),
    ],
)
def test_rule_matches_notices_that_it_names(keys: dict[str, Any], is_matched: bool) -> None:
    notice = Alert("#fleet_vanished", Notice.FLEET_VANISHED.value, 0.0, verbatim("gone"))
    assert matches(rule(**keys), notice) is is_matched


def test_alert_host_and_label() -> None:
    plain = alert_of(server(7, 8288))
    named = Alert("studio", "x", 0.0, verbatim(""), State.FAILED, "lab", "https://192.0.2.7/comfy")
    v6 = Alert("[2001:db8::1]:8188", "x", 0.0, verbatim(""), State.FAILED, "lab", "http://[2001:db8::1]:8188")
    assert [(one.host, one.label) for one in (plain, named, v6)] == [
        ("192.0.2.7", "8288"),
        ("192.0.2.7", "studio"),
        ("2001:db8::1", "8188"),
    ]


@pytest.mark.parametrize("state", [State.DRAINING, State.RESTARTING])
def test_restart_in_progress_matches_only_a_rule_that_names_it(state: State) -> None:
    restarting = alert_of(server(state=state))
    assert not matches(rule(), restarting)
    assert not matches(rule(states=["unreachable", "failed"]), restarting)
    assert matches(rule(states=[state.value]), restarting)


def test_failed_restart_matches_like_any_failure() -> None:
    assert matches(rule(), alert_of(server(state=State.FAILED, reason=Reason.NOT_RETURNED)))
