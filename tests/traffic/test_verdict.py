"""The verdict for load balancers in each state."""

import pytest

from statemachine.core.vocabulary import Reason, State
from statemachine.traffic.agent import STEP_S, renewal_wait, verdict
from tests.traffic.samples import NOW, view


def test_verdict_of_loaded_server_is_up() -> None:
    assert verdict(view("a")) == "up ready"


def test_verdict_of_paused_server_is_drain() -> None:
    assert verdict(view("a", State.PAUSED)) == "drain"
    assert verdict(view("a", State.PAUSED, last_check=None)) == "drain"


@pytest.mark.parametrize("state", [state for state in State if state not in {State.LOADED, State.PAUSED}])
def test_verdict_of_other_state_is_down_with_reason(state: State) -> None:
    assert verdict(view("a", state)) == f"down #{state.value}: keys_missing"


def test_verdict_of_unknown_server_is_down() -> None:
    assert verdict(None) == "down #unknown server"


@pytest.mark.parametrize("state", [State.UNKNOWN, State.CHECKING])
def test_verdict_before_first_check_is_empty(state: State) -> None:
    assert verdict(view("a", state, last_check=None)) == ""


@pytest.mark.parametrize("state", [State.UNREACHABLE, State.FAILED, State.COLD, State.WARMING, State.SUBMITTING])
def test_verdict_of_known_state_without_check_is_down(state: State) -> None:
    assert verdict(view("a", state, last_check=None)).startswith("down")


def test_renewal_wait_is_bounded_and_only_for_renewals() -> None:
    renewals = (view("a", State.CHECKING), view("a", State.UNKNOWN, reason=Reason.FOREIGN_WORK_FINISHED))
    for one in renewals:
        assert renewal_wait(one._replace(since=NOW - 0.1), NOW) == pytest.approx(STEP_S - 0.1)
        assert renewal_wait(one._replace(since=NOW - STEP_S), NOW) == 0
    for reason in (Reason.LINK_LOST, Reason.SERVER_RESTARTED, Reason.CHECK_UNRECOGNISED):
        assert renewal_wait(view("a", State.UNKNOWN, reason=reason, since=NOW), NOW) == 0
    assert renewal_wait(view("a", State.COLD, since=NOW), NOW) == 0
    assert renewal_wait(None, NOW) == 0


def test_renewal_wait_after_clock_step_is_bounded() -> None:
    assert renewal_wait(view("a", State.CHECKING, since=NOW + 3600), NOW) == STEP_S
