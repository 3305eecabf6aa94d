"""Properties of the evaluator: no repeated announcement, no unannounced recovery, no lost alert."""

from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.alerts.alert import Kind
from statemachine.core.vocabulary import Notice, State
from tests.alerts.samples import EvaluatorHarness, rule

SERVERS = ("a:1", "a:2", "b:1", "c:1")
STATES = (State.LOADED, State.COLD, State.WARMING, State.FAILED, State.UNREACHABLE, State.PAUSED)
FOR_S, GATHER_S = 60, 10
RULES = (
    rule("bad", states=["failed", "unreachable"], for_s=FOR_S),
    rule("any", for_s=FOR_S * 3),
    rule("net", notices=["fleet_vanished"]),
)

changes = st.tuples(st.sampled_from(SERVERS), st.sampled_from(STATES))
notices = st.sampled_from([Notice.FLEET_VANISHED, Notice.FLEET_BACK])
steps = st.lists(st.tuples(changes | notices, st.integers(0, 200)), max_size=40)


def replay(
    harness: EvaluatorHarness, steps: list[tuple[object, int]], restart_at: int | None = None
) -> EvaluatorHarness:
    """Replay the steps and confirm every announcement. A restart keeps only what was confirmed."""
    announced = harness.announced
    for number, (what, wait) in enumerate(steps):
        if number == restart_at:
            now, sent = harness.now, harness.evaluator.incidents.sent_alerts()
            harness = EvaluatorHarness(*RULES, gather_s=GATHER_S)
            harness.now, harness.announced = now, announced
            harness.evaluator.restore(sent, now)
        if what is Notice.FLEET_VANISHED:
            harness.notice(Notice.FLEET_VANISHED)
        elif what is Notice.FLEET_BACK:
            harness.end_notice(Notice.FLEET_BACK)
        elif isinstance(what, tuple):
            harness.set_state(what[1], what[0])
        for one in harness.advance(wait, 5):
            harness.evaluator.incidents.confirm(one)
    return harness


def assert_consistent(harness: EvaluatorHarness) -> None:
    """Assert that each recovery follows a firing. A paused server has no recovery."""
    incidents: dict[tuple[str, str], str] = {}
    for one in harness.announced:
        for alert in one.alerts:
            key = (one.rule, alert.subject)
            if one.kind is Kind.FIRING:
                incidents[key] = one.incident
            else:
                assert incidents.pop(key, None) == one.incident, f"{key} recovered without firing, or twice"
    assert all(alert.state is not State.LOADED for one in harness.announced for alert in one.alerts)


@settings(deadline=None)
@given(steps, st.none() | st.integers(0, 39))
def test_evaluator_alternates_firing_and_recovery(steps: list[tuple[object, int]], restart_at: int | None) -> None:
    assert_consistent(replay(EvaluatorHarness(*RULES, gather_s=GATHER_S), steps, restart_at))


@settings(deadline=None)
@given(steps)
def test_evaluator_with_loaded_fleet_has_no_incidents(
    steps: list[tuple[object, int]],
) -> None:
    harness = replay(EvaluatorHarness(*RULES, gather_s=GATHER_S), steps)
    harness.set_state(State.LOADED, *SERVERS)
    harness.end_notice(Notice.FLEET_BACK)
    for one in harness.advance(1000, 10):
        harness.evaluator.incidents.confirm(one)
    assert len(harness.evaluator.incidents) == 0
    assert harness.evaluator.incidents.sent_alerts() == []
    assert harness.evaluator.next_due() is None
    assert_consistent(harness)


@settings(deadline=None)
@given(steps, st.sampled_from(SERVERS))
def test_evaluator_announces_lasting_alert(steps: list[tuple[object, int]], name: str) -> None:
    """The announcement may be older, if the alert has not ended since."""
    harness = replay(EvaluatorHarness(*RULES, gather_s=GATHER_S), steps)
    harness.set_state(State.FAILED, name)
    harness.advance(FOR_S + 4 * GATHER_S + 5, 5)
    assert ("bad", name) in harness.evaluator.incidents
    assert ("bad", name) in {(one.rule, alert.subject) for one in harness.announced for alert in one.alerts}
