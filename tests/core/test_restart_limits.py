"""When triggers may ask for another restart, and which restarts count."""

import pytest

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.restart import DAY_S, Restart, RestartCause, RestartStage
from statemachine.core.restart_limits import held_back, is_limit
from statemachine.core.vocabulary import Reason, State
from tests.core.builders import driver_in

HOUR, NOW, WHY = 3_600.0, 1_000_000.0, verbatim("why")


def ended(ago_s: float, *hooks_ago_s: float, drains: int = 0) -> Restart:
    """Return a restart that ended some time ago, after hooks at these times."""
    at = NOW - ago_s
    hooks = tuple(NOW - ago for ago in hooks_ago_s)
    began = at if hooks_ago_s else None
    return Restart("r", "a", RestartCause.MEMORY, at, stage=RestartStage.SUCCEEDED, hook_started_at=began, ended_at=at,
                   hooks=hooks, drains_timed_out=drains)  # fmt: skip


@pytest.mark.parametrize(
    ("latest", "expected"),
    [
        (None, None),
        (ended(2 * HOUR, 2 * HOUR), None),
        (ended(0.5 * HOUR, 0.5 * HOUR), "restart_too_soon"),
        (ended(-0.5 * HOUR, -0.5 * HOUR), "restart_too_soon"),
        (ended(-2 * HOUR, -2 * HOUR), None),
        (ended(2 * HOUR, 9 * HOUR, 6 * HOUR, 2 * HOUR), "restart_limit"),
        (ended(2 * HOUR, DAY_S + HOUR, 6 * HOUR, 2 * HOUR), None),
        (ended(2 * HOUR), "restart_too_soon"),
        (ended(9 * HOUR), None),
        (ended(9 * HOUR, drains=2), None),
        (ended(90 * DAY_S, drains=3), "drains_limit"),
    ],
)
def test_restart_is_held_back(latest: Restart | None, expected: str | None) -> None:
    held = held_back(latest, HOUR, 3, RestartCause.MEMORY, WHY, NOW)
    assert (held.code if held is not None else None) == expected
    assert held is None or is_limit(held) == (expected != "restart_too_soon")


@pytest.mark.parametrize(
    ("latest", "expected"),
    [
        (ended(90 * DAY_S, drains=3), None),
        (ended(2 * HOUR, drains=3), None),
        (ended(0.5 * HOUR), "restart_too_soon"),
        (ended(2 * HOUR, 9 * HOUR, 6 * HOUR, 2 * HOUR, drains=3), "restart_limit"),
    ],
)
def test_drains_that_timed_out_do_not_hold_back_a_stuck_server(latest: Restart, expected: str | None) -> None:
    held = held_back(latest, HOUR, 3, RestartCause.STUCK, WHY, NOW)
    assert (held.code if held is not None else None) == expected


@pytest.mark.parametrize(
    ("cause", "reason", "count"),
    [
        (RestartCause.MEMORY, Reason.DRAIN_TIMED_OUT, 2),
        (RestartCause.SCHEDULE, Reason.DRAIN_TIMED_OUT, 2),
        (RestartCause.MEMORY, Reason.JOURNAL_UNAVAILABLE, 0),
        (RestartCause.OPERATOR, Reason.DRAIN_TIMED_OUT, 0),
    ],
)
def test_drains_of_triggers_that_time_out_are_counted(cause: RestartCause, reason: Reason, count: int) -> None:
    driver = driver_in(State.LOADED)
    for number in range(2):
        driver.apply(e.RestartRequested(f"r{number}", cause), e.RestartWithheld(reason, verbatim("busy")))
    assert driver.server.restart is not None
    assert driver.server.restart.drains_timed_out == count


def test_hook_ends_the_count_of_drains() -> None:
    restart = ended(9 * HOUR, drains=2)
    assert Restart("s", "a", RestartCause.AGE, NOW).following(restart).hook_begun(None, None, NOW).drains_timed_out == 0
