"""Servers that have no verdict for a moment after foreign work."""

import pytest

from statemachine.core.vocabulary import Reason, State
from statemachine.publish.snapshot import Snapshot
from statemachine.rollouts.watch import PRESUMED_S, Renewals
from tests.traffic.samples import view


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def received(*transitions: tuple[State, Reason], time: Time | None = None) -> Renewals:
    renewals = Renewals(time or Time())
    for state, reason in transitions:
        renewals.on_view(view("a", state, reason=reason))
    return renewals


LOADED = (State.LOADED, Reason.ALL_CACHED)
FINISHED = (State.UNKNOWN, Reason.FOREIGN_WORK_FINISHED)
CHECKING = (State.CHECKING, Reason.CHECK_STARTED)


def test_loaded_server_is_renewed_while_its_check_is_repeated() -> None:
    assert "a" in received(LOADED, FINISHED)
    assert "a" in received(LOADED, FINISHED, CHECKING)
    assert "a" not in received(LOADED, FINISHED, CHECKING, LOADED)
    assert "b" not in received(LOADED, FINISHED)


@pytest.mark.parametrize(
    "before",
    [
        [LOADED, (State.UNKNOWN, Reason.SERVER_RESTARTED)],
        [LOADED, (State.UNKNOWN, Reason.CACHE_CHANGED)],
        [LOADED, (State.DRAINING, Reason.RESTART_REQUESTED), FINISHED],
        [(State.COLD, Reason.KEYS_MISSING), FINISHED],
        [LOADED, FINISHED, CHECKING, (State.COLD, Reason.KEYS_MISSING)],
        [],
    ],
)
def test_other_server_without_a_verdict_is_not_renewed(before: list[tuple[State, Reason]]) -> None:
    assert "a" not in received(*before)
    assert "a" not in received(*before, CHECKING)


def test_verdict_that_takes_long_is_not_presumed() -> None:
    time = Time()
    renewals = received(LOADED, FINISHED, CHECKING, time=time)
    time.now = PRESUMED_S
    assert "a" not in renewals


def test_view_that_is_published_again_keeps_the_renewal() -> None:
    assert "a" in received(LOADED, FINISHED, FINISHED, CHECKING, CHECKING)


def test_server_that_left_the_fleet_is_forgotten() -> None:
    snapshot, renewals = Snapshot(), Renewals(Time())
    snapshot.add_follower(renewals)
    for name in ("a", "b"):
        snapshot.put(view(name, State.LOADED))
        snapshot.put(view(name, State.UNKNOWN, reason=Reason.FOREIGN_WORK_FINISHED))
    snapshot.set_order(["b"])
    assert (len(renewals), "a" in renewals, "b" in renewals) == (1, False, True)
