"""What is said, when, and together with what: a table of lives."""

import pytest

from statemachine.alerts.alert import Kind
from statemachine.alerts.evaluator import SETTLE_S
from statemachine.alerts.incidents import STRAGGLERS_S
from statemachine.core.vocabulary import Notice, Reason, State
from tests.alerts.samples import EPOCH, Desk, rule, summary

FOUR = tuple(f"192.0.2.7:{port}" for port in (8188, 8288, 8388, 8488))
FLEET = tuple(f"192.0.2.{host}:8188" for host in range(1, 11))


def test_a_trouble_fires_once_it_has_lasted_and_recovers_when_loaded() -> None:
    desk = Desk(rule(states=["failed"], for_s=120))
    desk.see(State.FAILED, "a:1")
    assert desk.turn(119) == []
    assert summary(desk.turn(1)) == [("firing", "down", ("a:1",))]
    assert desk.turn(9999, 60) == []
    desk.see(State.LOADED, "a:1")
    assert summary(desk.ask()) == [("recovered", "down", ("a:1",))]
    assert desk.turn(9999, 60) == []


def test_a_flap_does_not_fire_and_the_clock_starts_over() -> None:
    desk = Desk(rule(states=["unreachable"], for_s=120))
    for _ in range(10):
        desk.see(State.UNREACHABLE, "a:1")
        desk.turn(119)
        desk.see(State.UNKNOWN, "a:1", reason=Reason.ANSWERING_AGAIN)
        desk.turn(1)
    assert desk.said == []


def test_a_trouble_that_comes_again_counts_from_its_second_coming() -> None:
    desk = Desk(rule(states=["unreachable"], for_s=120))
    desk.see(State.UNREACHABLE, "a:1")
    desk.turn(60)
    desk.see(State.UNKNOWN, "a:1")
    desk.turn(10)
    desk.see(State.UNREACHABLE, "a:1")
    assert desk.turn(119) == []
    assert summary(desk.turn(1)) == [("firing", "down", ("a:1",))]


def test_a_change_from_one_matching_state_to_another_is_no_break() -> None:
    desk = Desk(rule(for_s=120))
    for state in (State.COLD, State.WARMING, State.FAILED, State.COLD):
        desk.see(state, "a:1")
        desk.turn(30)
    (said,) = desk.said
    assert (said.troubles[0].state, said.troubles[0].since) == (State.COLD, EPOCH)


def test_another_try_is_no_recovery_and_nothing_is_told_twice_before_it() -> None:
    desk = Desk(rule(states=["failed"]))
    for _ in range(5):
        for state in (State.FAILED, State.UNKNOWN, State.CHECKING, State.COLD, State.WARMING):
            desk.see(state, "a:1")
            desk.turn(60)
    assert summary(desk.said) == [("firing", "down", ("a:1",))]
    desk.see(State.LOADED, "a:1")
    desk.see(State.FAILED, "a:1")
    desk.turn(1)
    assert summary(desk.said)[1:] == [("recovered", "down", ("a:1",)), ("firing", "down", ("a:1",))]


def test_a_dead_host_of_four_ports_is_one_message_and_one_recovery() -> None:
    desk = Desk(rule(states=["unreachable"], for_s=60), gather_s=15)
    for name in FOUR:
        desk.see(State.UNREACHABLE, name)
        desk.turn(12)
    desk.turn(300)
    assert summary(desk.said) == [("firing", "down", FOUR)]
    for name in FOUR:
        desk.see(State.LOADED, name)
        desk.turn(100)
    assert summary(desk.said)[1:] == [("recovered", "down", FOUR)]


def test_the_wait_for_others_is_bounded() -> None:
    desk = Desk(rule(states=["cold"], for_s=60), gather_s=10)
    for host in range(200):
        desk.see(State.COLD, f"192.0.2.{host}:1")
        desk.turn(5)
    assert desk.said[0].at - EPOCH <= 60 + 4 * 10
    assert len(desk.said) > 1


def test_different_causes_are_different_messages() -> None:
    desk = Desk(rule(states=["failed", "unreachable"]), gather_s=5)
    desk.see(State.FAILED, "a:1", reason=Reason.OUT_OF_MEMORY)
    desk.see(State.FAILED, "a:2", reason=Reason.MISSING_MODELS)
    desk.see(State.UNREACHABLE, "a:3")
    assert sorted(summary(desk.turn(5))) == [("firing", "down", (f"a:{port}",)) for port in (1, 2, 3)]


@pytest.mark.parametrize("quiet", [State.PAUSED, State.LOADED])
@pytest.mark.parametrize("wait", [10, 65])
def test_what_is_over_before_it_is_told_is_not_told(quiet: State, wait: int) -> None:
    desk = Desk(rule(for_s=60), gather_s=10)
    desk.see(State.FAILED, "a:1")
    desk.turn(wait)
    desk.see(quiet, "a:1")
    assert desk.turn(9999, 60) == []
    assert desk.book.next_due() is None


def test_a_paused_server_ends_silently_and_counts_anew_when_it_is_given_back() -> None:
    desk = Desk(rule(states=["failed"], for_s=10))
    desk.see(State.FAILED, "a:1", "a:2")
    desk.turn(10)
    desk.see(State.PAUSED, "a:1")
    desk.turn(1000, 10)
    desk.see(State.LOADED, "a:2")
    desk.turn(1)
    assert summary(desk.said) == [("firing", "down", ("a:1", "a:2")), ("recovered", "down", ("a:2",))]
    desk.see(State.FAILED, "a:1")
    assert summary(desk.turn(10)) == [("firing", "down", ("a:1",))]


def test_servers_that_recover_do_not_wait_for_one_that_stays() -> None:
    desk = Desk(rule(states=["failed"]))
    desk.see(State.FAILED, "a:1", "a:2", "a:3")
    desk.ask()
    desk.see(State.LOADED, "a:1", "a:2")
    assert desk.turn(STRAGGLERS_S - 1) == []
    (told,) = desk.turn(1)
    assert summary([told]) == [("recovered", "down", ("a:1", "a:2"))]
    assert [one.subject for one in told.still] == ["a:3"]
    desk.see(State.LOADED, "a:3")
    assert summary(desk.turn(1)) == [("recovered", "down", ("a:3",))]


def test_a_server_that_has_left_the_settings_is_forgotten_silently() -> None:
    desk = Desk(rule(states=["failed"]))
    desk.see(State.FAILED, "a:1", "a:2")
    desk.ask()
    desk.book.keep_only(["a:2"], desk.now)
    desk.turn(1000, 10)
    desk.see(State.LOADED, "a:2")
    desk.turn(1)
    assert summary(desk.said)[1:] == [("recovered", "down", ("a:2",))]


def test_two_rules_tell_of_one_server_each() -> None:
    desk = Desk(rule("soon", states=["cold"], for_s=10), rule("late", for_s=100))
    desk.see(State.COLD, "a:1")
    desk.turn(100)
    desk.see(State.LOADED, "a:1")
    desk.turn(1)
    assert [(kind, name) for kind, name, _ in summary(desk.said)] == [
        ("firing", "soon"),
        ("firing", "late"),
        ("recovered", "soon"),
        ("recovered", "late"),
    ]


# Notices


def test_a_notice_fires_and_its_counterpart_ends_it() -> None:
    desk = Desk(rule(notices=["journal_unavailable"], for_s=10))
    desk.notice(Notice.JOURNAL_UNAVAILABLE)
    assert summary(desk.turn(10)) == [("firing", "down", ("#journal_unavailable",))]
    desk.end(Notice.JOURNAL_AVAILABLE)
    assert summary(desk.turn(1)) == [("recovered", "down", ("#journal_unavailable",))]


def test_a_notice_that_ends_in_time_is_not_told() -> None:
    desk = Desk(rule(notices=["fleet_vanished"], for_s=10))
    desk.notice(Notice.FLEET_VANISHED)
    desk.turn(9)
    desk.end(Notice.FLEET_BACK)
    assert desk.turn(999, 10) == []


def vanished_fleet(*to: str) -> Desk:
    """Ten servers, a fired notice, and a brake that lets go while the network is still away."""
    net = rule("net", notices=["fleet_vanished"], to=["ops"])
    desk = Desk(net, rule(states=["unreachable"], for_s=60, to=to), gather_s=15)
    desk.see(State.LOADED, *FLEET)
    desk.notice(Notice.FLEET_VANISHED)
    desk.turn(300)
    desk.end(Notice.FLEET_BACK)
    for name in FLEET:
        desk.see(State.UNREACHABLE, name)
        desk.turn(5)
    desk.turn(3000, 10)
    return desk


def test_a_lost_network_is_one_message_and_one_recovery() -> None:
    desk = vanished_fleet("ops")
    assert summary(desk.said) == [("firing", "net", ("#fleet_vanished",))]
    desk.see(State.LOADED, *FLEET)
    desk.turn(SETTLE_S)
    assert summary(desk.said)[1:] == [("recovered", "net", ("#fleet_vanished",))]


def test_a_server_that_stays_away_when_the_network_is_back_is_told_then() -> None:
    desk = vanished_fleet("ops")
    desk.see(State.LOADED, *FLEET[1:])
    desk.turn(SETTLE_S + 30)
    assert summary(desk.said)[1:] == [("recovered", "net", ("#fleet_vanished",)), ("firing", "down", FLEET[:1])]


def test_channels_that_did_not_hear_of_the_lost_network_hear_of_its_servers() -> None:
    desk = vanished_fleet("ops", "other")
    assert summary(desk.said) == [("firing", "net", ("#fleet_vanished",)), ("firing", "down", FLEET)]


def test_a_network_that_comes_back_in_time_is_over_after_a_look() -> None:
    desk = Desk(rule(notices=["fleet_vanished"]))
    desk.see(State.LOADED, *FLEET)
    desk.notice(Notice.FLEET_VANISHED)
    desk.turn(60)
    desk.end(Notice.FLEET_BACK)
    assert desk.turn(SETTLE_S - 1) == []
    assert [one.kind for one in desk.turn(1)] == [Kind.RECOVERED]


# Over a restart, and over a change of settings


def test_after_a_restart_what_was_confirmed_is_not_told_again_and_recovers_once() -> None:
    before = Desk(rule(states=["failed"]))
    before.see(State.FAILED, "a:1", "a:2")
    (told,) = before.ask()
    assert before.book.incidents.told() == []
    before.book.incidents.settle(told)
    after = Desk(rule(states=["failed"], for_s=10))
    after.book.restore(before.book.incidents.told(), 0.0)
    for state in (State.UNKNOWN, State.CHECKING, State.FAILED):
        after.see(state, "a:1", "a:2")
        after.turn(20)
    assert after.said == []
    after.see(State.LOADED, "a:1", "a:2")
    assert summary(after.ask()) == [("recovered", "down", ("a:1", "a:2"))]
    assert after.said[0].troubles[0].since == EPOCH


def test_a_notice_of_an_earlier_run_is_over_unless_it_comes_again() -> None:
    before = Desk(rule(notices=["fleet_vanished"]))
    before.notice(Notice.FLEET_VANISHED)
    before.book.incidents.settle(before.ask()[0])
    for again, expected in ((False, ["recovered"]), (True, [])):
        after = Desk(rule(notices=["fleet_vanished"]))
        after.book.restore(before.book.incidents.told(), 0.0)
        after.see(State.LOADED, *FLEET)
        if again:
            after.notice(Notice.FLEET_VANISHED)
        assert [one.kind.value for one in after.turn(SETTLE_S + 1)] == expected


def test_what_is_recalled_late_does_not_stand_against_what_is_known() -> None:
    before = Desk(rule(states=["failed"]))
    before.see(State.FAILED, "a:1", "a:2")
    before.book.incidents.settle(before.ask()[0])
    after = Desk(rule(states=["failed"]))
    after.see(State.LOADED, "a:1")
    after.see(State.FAILED, "a:2")
    assert summary(after.ask()) == [("firing", "down", ("a:2",))]
    after.book.restore(before.book.incidents.told(), after.now)
    after.see(State.LOADED, "a:2")
    assert sorted(summary(after.turn(1))) == [("recovered", "down", ("a:1",)), ("recovered", "down", ("a:2",))]
    assert len(after.book.incidents) == 0


def test_what_is_recalled_late_is_not_told_again_by_what_was_already_on_its_way() -> None:
    before = Desk(rule(states=["failed"]))
    before.see(State.FAILED, "a:1", "a:2")
    before.book.incidents.settle(before.ask()[0])
    after = Desk(rule(states=["failed"], for_s=30), gather_s=20)
    after.see(State.FAILED, "a:1")
    after.turn(31)
    after.see(State.FAILED, "a:2")
    after.book.restore(before.book.incidents.told(), after.now)
    assert after.turn(200) == [], "one was gathering, one pending"
    after.see(State.LOADED, "a:1", "a:2")
    assert summary(after.ask()) == [("recovered", "down", ("a:1", "a:2"))]


def test_a_reload_loses_nothing_of_a_rule_that_stays() -> None:
    down = rule(states=["failed"], for_s=100)
    desk = Desk(down, rule("other", states=["cold"]))
    desk.see(State.FAILED, "a:1")
    desk.turn(60)
    desk.book.apply([rule("new", states=["unreachable"]), down], 0.0, desk.now)
    assert summary(desk.turn(40)) == [("firing", "down", ("a:1",))]
    desk.book.apply([rule(states=["failed"], for_s=5, to=["ops", "more"])], 0.0, desk.now)
    assert desk.turn(200) == []
    desk.see(State.LOADED, "a:1")
    assert summary(desk.ask()) == [("recovered", "down", ("a:1",))]


def test_a_new_rule_looks_at_what_stands_and_a_rule_that_is_gone_says_nothing_more() -> None:
    desk = Desk(rule("old", states=["failed"]))
    desk.see(State.FAILED, "a:1")
    desk.ask()
    desk.book.apply([rule("new", states=["failed"], for_s=30)], 0.0, desk.now)
    assert summary(desk.turn(30)) == [("firing", "new", ("a:1",))]
    desk.see(State.LOADED, "a:1")
    (recovered,) = desk.ask()
    assert summary([recovered]) == [("recovered", "new", ("a:1",))]
    desk.book.incidents.settle(recovered)
    assert desk.book.incidents.told() == []
