"""When the evaluator announces alerts, and which ones together."""

import pytest

from statemachine.alerts.alert import Kind
from statemachine.alerts.evaluator import END_DELAY_S
from statemachine.alerts.incidents import STRAGGLERS_S
from statemachine.core.vocabulary import Notice, Reason, State
from tests.alerts.samples import EPOCH, EvaluatorHarness, rule, summary

FOUR = tuple(f"192.0.2.7:{port}" for port in (8188, 8288, 8388, 8488))
FLEET = tuple(f"192.0.2.{host}:8188" for host in range(1, 11))


def test_evaluator_fires_after_for_s_and_recovers_when_loaded() -> None:
    harness = EvaluatorHarness(rule(states=["failed"], for_s=120))
    harness.set_state(State.FAILED, "a:1")
    assert harness.advance(119) == []
    assert summary(harness.advance(1)) == [("firing", "down", ("a:1",))]
    assert harness.advance(9999, 60) == []
    harness.set_state(State.LOADED, "a:1")
    assert summary(harness.due()) == [("recovered", "down", ("a:1",))]
    assert harness.advance(9999, 60) == []


def test_evaluator_ignores_flapping_server() -> None:
    harness = EvaluatorHarness(rule(states=["unreachable"], for_s=120))
    for _ in range(10):
        harness.set_state(State.UNREACHABLE, "a:1")
        harness.advance(119)
        harness.set_state(State.UNKNOWN, "a:1", reason=Reason.ANSWERING_AGAIN)
        harness.advance(1)
    assert harness.announced == []


def test_evaluator_restarts_for_s_after_a_break() -> None:
    harness = EvaluatorHarness(rule(states=["unreachable"], for_s=120))
    harness.set_state(State.UNREACHABLE, "a:1")
    harness.advance(60)
    harness.set_state(State.UNKNOWN, "a:1")
    harness.advance(10)
    harness.set_state(State.UNREACHABLE, "a:1")
    assert harness.advance(119) == []
    assert summary(harness.advance(1)) == [("firing", "down", ("a:1",))]


def test_evaluator_keeps_for_s_across_matching_states() -> None:
    harness = EvaluatorHarness(rule(for_s=120))
    for state in (State.COLD, State.WARMING, State.FAILED, State.COLD):
        harness.set_state(state, "a:1")
        harness.advance(30)
    (announced,) = harness.announced
    assert (announced.alerts[0].state, announced.alerts[0].since) == (State.COLD, EPOCH)


def test_evaluator_ignores_retries_until_recovery() -> None:
    harness = EvaluatorHarness(rule(states=["failed"]))
    for _ in range(5):
        for state in (State.FAILED, State.UNKNOWN, State.CHECKING, State.COLD, State.WARMING):
            harness.set_state(state, "a:1")
            harness.advance(60)
    assert summary(harness.announced) == [("firing", "down", ("a:1",))]
    harness.set_state(State.LOADED, "a:1")
    harness.set_state(State.FAILED, "a:1")
    harness.advance(1)
    assert summary(harness.announced)[1:] == [("recovered", "down", ("a:1",)), ("firing", "down", ("a:1",))]


def test_evaluator_groups_servers_of_dead_host() -> None:
    harness = EvaluatorHarness(rule(states=["unreachable"], for_s=60), gather_s=15)
    for name in FOUR:
        harness.set_state(State.UNREACHABLE, name)
        harness.advance(12)
    harness.advance(300)
    assert summary(harness.announced) == [("firing", "down", FOUR)]
    for name in FOUR:
        harness.set_state(State.LOADED, name)
        harness.advance(100)
    assert summary(harness.announced)[1:] == [("recovered", "down", FOUR)]


def test_evaluator_limits_wait_for_group() -> None:
    harness = EvaluatorHarness(rule(states=["cold"], for_s=60), gather_s=10)
    for host in range(200):
        harness.set_state(State.COLD, f"192.0.2.{host}:1")
        harness.advance(5)
    assert harness.announced[0].at - EPOCH <= 60 + 4 * 10
    assert len(harness.announced) > 1


def test_evaluator_separates_causes() -> None:
    harness = EvaluatorHarness(rule(states=["failed", "unreachable"]), gather_s=5)
    harness.set_state(State.FAILED, "a:1", reason=Reason.OUT_OF_MEMORY)
    harness.set_state(State.FAILED, "a:2", reason=Reason.MISSING_MODELS)
    harness.set_state(State.UNREACHABLE, "a:3")
    assert sorted(summary(harness.advance(5))) == [("firing", "down", (f"a:{port}",)) for port in (1, 2, 3)]


@pytest.mark.parametrize("quiet", [State.PAUSED, State.LOADED])
@pytest.mark.parametrize("wait", [10, 65])
def test_evaluator_drops_alert_that_ends_early(quiet: State, wait: int) -> None:
    harness = EvaluatorHarness(rule(for_s=60), gather_s=10)
    harness.set_state(State.FAILED, "a:1")
    harness.advance(wait)
    harness.set_state(quiet, "a:1")
    assert harness.advance(9999, 60) == []
    assert harness.evaluator.next_due() is None


def test_evaluator_ends_paused_server_without_announcement() -> None:
    harness = EvaluatorHarness(rule(states=["failed"], for_s=10))
    harness.set_state(State.FAILED, "a:1", "a:2")
    harness.advance(10)
    harness.set_state(State.PAUSED, "a:1")
    harness.advance(1000, 10)
    harness.set_state(State.LOADED, "a:2")
    harness.advance(1)
    assert summary(harness.announced) == [("firing", "down", ("a:1", "a:2")), ("recovered", "down", ("a:2",))]
    harness.set_state(State.FAILED, "a:1")
    assert summary(harness.advance(10)) == [("firing", "down", ("a:1",))]


def test_evaluator_announces_partial_recovery_after_timeout() -> None:
    harness = EvaluatorHarness(rule(states=["failed"]))
    harness.set_state(State.FAILED, "a:1", "a:2", "a:3")
    harness.due()
    harness.set_state(State.LOADED, "a:1", "a:2")
    assert harness.advance(STRAGGLERS_S - 1) == []
    (announced,) = harness.advance(1)
    assert summary([announced]) == [("recovered", "down", ("a:1", "a:2"))]
    assert [one.subject for one in announced.still_open] == ["a:3"]
    harness.set_state(State.LOADED, "a:3")
    assert summary(harness.advance(1)) == [("recovered", "down", ("a:3",))]


def test_evaluator_forgets_removed_server() -> None:
    harness = EvaluatorHarness(rule(states=["failed"]))
    harness.set_state(State.FAILED, "a:1", "a:2")
    harness.due()
    harness.evaluator.keep_only(["a:2"], harness.now)
    harness.advance(1000, 10)
    harness.set_state(State.LOADED, "a:2")
    harness.advance(1)
    assert summary(harness.announced)[1:] == [("recovered", "down", ("a:2",))]


def test_evaluator_announces_server_for_each_rule() -> None:
    harness = EvaluatorHarness(rule("soon", states=["cold"], for_s=10), rule("late", for_s=100))
    harness.set_state(State.COLD, "a:1")
    harness.advance(100)
    harness.set_state(State.LOADED, "a:1")
    harness.advance(1)
    assert [(kind, name) for kind, name, _ in summary(harness.announced)] == [
        ("firing", "soon"),
        ("firing", "late"),
        ("recovered", "soon"),
        ("recovered", "late"),
    ]


# Notices


def test_evaluator_notice_fires_and_ends() -> None:
    harness = EvaluatorHarness(rule(notices=["journal_unavailable"], for_s=10))
    harness.notice(Notice.JOURNAL_UNAVAILABLE)
    assert summary(harness.advance(10)) == [("firing", "down", ("#journal_unavailable",))]
    harness.end_notice(Notice.JOURNAL_AVAILABLE)
    assert summary(harness.advance(1)) == [("recovered", "down", ("#journal_unavailable",))]


def test_evaluator_drops_notice_that_ends_early() -> None:
    harness = EvaluatorHarness(rule(notices=["fleet_vanished"], for_s=10))
    harness.notice(Notice.FLEET_VANISHED)
    harness.advance(9)
    harness.end_notice(Notice.FLEET_BACK)
    assert harness.advance(999, 10) == []


def vanished_fleet(*to: str) -> EvaluatorHarness:
    """Return ten servers after a lost network whose `fleet_back` came while they were still unreachable."""
    net = rule("net", notices=["fleet_vanished"], to=["ops"])
    harness = EvaluatorHarness(net, rule(states=["unreachable"], for_s=60, to=to), gather_s=15)
    harness.set_state(State.LOADED, *FLEET)
    harness.notice(Notice.FLEET_VANISHED)
    harness.advance(300)
    harness.end_notice(Notice.FLEET_BACK)
    for name in FLEET:
        harness.set_state(State.UNREACHABLE, name)
        harness.advance(5)
    harness.advance(3000, 10)
    return harness


def test_evaluator_lost_network_is_one_announcement() -> None:
    harness = vanished_fleet("ops")
    assert summary(harness.announced) == [("firing", "net", ("#fleet_vanished",))]
    harness.set_state(State.LOADED, *FLEET)
    harness.advance(END_DELAY_S)
    assert summary(harness.announced)[1:] == [("recovered", "net", ("#fleet_vanished",))]


def test_evaluator_announces_missing_server_after_network_returns() -> None:
    harness = vanished_fleet("ops")
    harness.set_state(State.LOADED, *FLEET[1:])
    harness.advance(END_DELAY_S + 30)
    assert summary(harness.announced)[1:] == [("recovered", "net", ("#fleet_vanished",)), ("firing", "down", FLEET[:1])]


def test_evaluator_announces_servers_to_uninformed_channels() -> None:
    harness = vanished_fleet("ops", "other")
    assert summary(harness.announced) == [("firing", "net", ("#fleet_vanished",)), ("firing", "down", FLEET)]


def test_evaluator_checks_end_of_lost_network_after_delay() -> None:
    harness = EvaluatorHarness(rule(notices=["fleet_vanished"]))
    harness.set_state(State.LOADED, *FLEET)
    harness.notice(Notice.FLEET_VANISHED)
    harness.advance(60)
    harness.end_notice(Notice.FLEET_BACK)
    assert harness.advance(END_DELAY_S - 1) == []
    assert [one.kind for one in harness.advance(1)] == [Kind.RECOVERED]
