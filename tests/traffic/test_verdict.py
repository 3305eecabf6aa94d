"""What a load balancer is told, state by state."""

import pytest

from statemachine.core.vocabulary import Reason, State
from statemachine.traffic.agent import STEP_S, renewal_wait, verdict
from tests.traffic.samples import NOW, view


def test_a_loaded_server_is_up_whatever_it_was_told_before() -> None:
    assert verdict(view("a")) == "up ready"


def test_a_paused_server_drains() -> None:
    assert verdict(view("a", State.PAUSED)) == "drain"
    assert verdict(view("a", State.PAUSED, last_check=None)) == "drain"


@pytest.mark.parametrize("state", [state for state in State if state not in {State.LOADED, State.PAUSED}])
def test_any_other_server_is_down_and_the_reason_is_told(state: State) -> None:
    assert verdict(view("a", state)) == f"down #{state.value}: keys_missing"


def test_an_unknown_server_is_down() -> None:
    assert verdict(None) == "down #unknown server"


@pytest.mark.parametrize("state", [State.UNKNOWN, State.CHECKING])
def test_nothing_is_said_before_the_first_verdict(state: State) -> None:
    assert verdict(view("a", state, last_check=None)) == ""


@pytest.mark.parametrize("state", [State.UNREACHABLE, State.FAILED, State.COLD, State.WARMING, State.SUBMITTING])
def test_what_is_known_without_a_check_is_said(state: State) -> None:
    assert verdict(view("a", state, last_check=None)).startswith("down")


def test_only_the_renewal_of_a_verdict_is_waited_for_and_not_for_long() -> None:
    renewals = (view("a", State.CHECKING), view("a", State.UNKNOWN, reason=Reason.FOREIGN_WORK_FINISHED))
    for one in renewals:
        assert renewal_wait(one._replace(since=NOW - 0.1), NOW) == pytest.approx(STEP_S - 0.1)
        assert renewal_wait(one._replace(since=NOW - STEP_S), NOW) == 0
    for reason in (Reason.LINK_LOST, Reason.SERVER_RESTARTED, Reason.CHECK_UNRECOGNISED):
        assert renewal_wait(view("a", State.UNKNOWN, reason=reason, since=NOW), NOW) == 0
    assert renewal_wait(view("a", State.COLD, since=NOW), NOW) == 0
    assert renewal_wait(None, NOW) == 0


def test_a_step_of_the_clock_makes_nobody_wait_longer() -> None:
    assert renewal_wait(view("a", State.CHECKING, since=NOW + 3600), NOW) == STEP_S
