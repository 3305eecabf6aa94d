"""Servers that have no verdict for a moment after foreign work."""

import pytest

from statemachine.core.vocabulary import Reason, State
from statemachine.publish.serialize import StreamMessage, Topic
from statemachine.rollouts.renewals import PRESUMED_S, Renewals


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def received(*transitions: tuple[State, Reason], time: Time | None = None) -> Renewals:
    renewals = Renewals(time or Time())
    for state, reason in transitions:
        renewals.receive(StreamMessage(Topic.TRANSITION, dict, server="a", state=state, reason=reason))
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
