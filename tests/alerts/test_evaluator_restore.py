"""What the evaluator keeps across a restart of the daemon and a change of the rules."""

from statemachine.alerts.evaluator import END_DELAY_S
from statemachine.core.vocabulary import Notice, State
from tests.alerts.samples import EPOCH, EvaluatorHarness, rule, summary

FLEET = tuple(f"192.0.2.{host}:8188" for host in range(1, 11))


def test_restore_of_confirmed_alert_announces_only_recovery() -> None:
    before = EvaluatorHarness(rule(states=["failed"]))
    before.set_state(State.FAILED, "a:1", "a:2")
    (announced,) = before.due()
    assert before.evaluator.incidents.sent_alerts() == []
    before.evaluator.incidents.confirm(announced)
    after = EvaluatorHarness(rule(states=["failed"], for_s=10))
    after.evaluator.restore(before.evaluator.incidents.sent_alerts(), 0.0)
    for state in (State.UNKNOWN, State.CHECKING, State.FAILED):
        after.set_state(state, "a:1", "a:2")
        after.advance(20)
    assert after.announced == []
    after.set_state(State.LOADED, "a:1", "a:2")
    assert summary(after.due()) == [("recovered", "down", ("a:1", "a:2"))]
    assert after.announced[0].alerts[0].since == EPOCH


def test_restore_of_notice_ends_unless_repeated() -> None:
    before = EvaluatorHarness(rule(notices=["fleet_vanished"]))
    before.notice(Notice.FLEET_VANISHED)
    before.evaluator.incidents.confirm(before.due()[0])
    for again, expected in ((False, ["recovered"]), (True, [])):
        after = EvaluatorHarness(rule(notices=["fleet_vanished"]))
        after.evaluator.restore(before.evaluator.incidents.sent_alerts(), 0.0)
        after.set_state(State.LOADED, *FLEET)
        if again:
            after.notice(Notice.FLEET_VANISHED)
        assert [one.kind.value for one in after.advance(END_DELAY_S + 1)] == expected


def test_restore_after_recovery_announces_recovery() -> None:
    before = EvaluatorHarness(rule(states=["failed"]))
    before.set_state(State.FAILED, "a:1", "a:2")
    before.evaluator.incidents.confirm(before.due()[0])
    after = EvaluatorHarness(rule(states=["failed"]))
    after.set_state(State.LOADED, "a:1")
    after.set_state(State.FAILED, "a:2")
    assert summary(after.due()) == [("firing", "down", ("a:2",))]
    after.evaluator.restore(before.evaluator.incidents.sent_alerts(), after.now)
    after.set_state(State.LOADED, "a:2")
    assert sorted(summary(after.advance(1))) == [("recovered", "down", ("a:1",)), ("recovered", "down", ("a:2",))]
    assert len(after.evaluator.incidents) == 0


def test_restore_cancels_pending_and_grouped_alerts() -> None:
    before = EvaluatorHarness(rule(states=["failed"]))
    before.set_state(State.FAILED, "a:1", "a:2")
    before.evaluator.incidents.confirm(before.due()[0])
    after = EvaluatorHarness(rule(states=["failed"], for_s=30), gather_s=20)
    after.set_state(State.FAILED, "a:1")
    after.advance(31)
    after.set_state(State.FAILED, "a:2")
    after.evaluator.restore(before.evaluator.incidents.sent_alerts(), after.now)
    assert after.advance(200) == [], "one was gathering, one pending"
    after.set_state(State.LOADED, "a:1", "a:2")
    assert summary(after.due()) == [("recovered", "down", ("a:1", "a:2"))]


def test_apply_keeps_alerts_of_unchanged_rule() -> None:
    down = rule(states=["failed"], for_s=100)
    harness = EvaluatorHarness(down, rule("other", states=["cold"]))
    harness.set_state(State.FAILED, "a:1")
    harness.advance(60)
    harness.evaluator.apply([rule("new", states=["unreachable"]), down], 0.0, harness.now)
    assert summary(harness.advance(40)) == [("firing", "down", ("a:1",))]
    harness.evaluator.apply([rule(states=["failed"], for_s=5, to=["ops", "more"])], 0.0, harness.now)
    assert harness.advance(200) == []
    harness.set_state(State.LOADED, "a:1")
    assert summary(harness.due()) == [("recovered", "down", ("a:1",))]


def test_apply_evaluates_new_rule_and_drops_removed_one() -> None:
    harness = EvaluatorHarness(rule("old", states=["failed"]))
    harness.set_state(State.FAILED, "a:1")
    harness.due()
    harness.evaluator.apply([rule("new", states=["failed"], for_s=30)], 0.0, harness.now)
    assert summary(harness.advance(30)) == [("firing", "new", ("a:1",))]
    harness.set_state(State.LOADED, "a:1")
    (recovered,) = harness.due()
    assert summary([recovered]) == [("recovered", "new", ("a:1",))]
    harness.evaluator.incidents.confirm(recovered)
    assert harness.evaluator.incidents.sent_alerts() == []
