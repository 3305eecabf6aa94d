"""When triggers may ask for another restart, and which restarts count."""

import pytest

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.restart import DAY_S, Restart, RestartAges, RestartCause, RestartStage, held_back, is_limit
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


def seen(latest: Restart | None) -> RestartAges:
    """Return the ages of a restart that is read from the journal now."""
    ages = RestartAges()
    ages.look(latest, NOW, 0.0)
    return ages


def held_code(latest: Restart | None, ages: RestartAges, cause: RestartCause = RestartCause.MEMORY) -> str | None:
    held = held_back(latest, ages, HOUR, 3, cause, WHY)
    return held.code if held is not None else None


@pytest.mark.parametrize(
    ("latest", "expected"),
    [
        (None, None),
        (ended(2 * HOUR, 2 * HOUR), None),
        (ended(0.5 * HOUR, 0.5 * HOUR), "restart_too_soon"),
        (ended(-0.5 * HOUR, -0.5 * HOUR), "restart_too_soon"),
        (ended(-2 * HOUR, -2 * HOUR), "restart_too_soon"),
        (ended(2 * HOUR, 9 * HOUR, 6 * HOUR, 2 * HOUR), "restart_limit"),
        (ended(2 * HOUR, DAY_S + HOUR, 6 * HOUR, 2 * HOUR), None),
        (ended(2 * HOUR), "restart_too_soon"),
        (ended(9 * HOUR), None),
        (ended(9 * HOUR, drains=2), None),
        (ended(90 * DAY_S, drains=3), "drains_limit"),
    ],
)
def test_restart_is_held_back(latest: Restart | None, expected: str | None) -> None:
    held = held_back(latest, seen(latest), HOUR, 3, RestartCause.MEMORY, WHY)
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
    assert held_code(latest, seen(latest), RestartCause.STUCK) == expected


STEPS_S = (-400 * DAY_S, -25 * HOUR, -0.5 * HOUR, 0.0, 0.5 * HOUR, 25 * HOUR, 400 * DAY_S)


@pytest.mark.parametrize("step_s", STEPS_S)
@pytest.mark.parametrize(
    ("later_s", "expected"),
    [(0.5 * HOUR, "restart_too_soon"), (1.1 * HOUR, "restart_limit"), (15.1 * HOUR, None)],
)
def test_clock_that_is_set_neither_ends_nor_extends_a_limit(step_s: float, later_s: float, expected: str) -> None:
    hooks = (9 * HOUR, 6 * HOUR, 60.0) if expected != "restart_too_soon" else (60.0,)
    latest = ended(60.0, *hooks)
    ages = seen(latest)
    ages.look(latest, NOW + later_s + step_s, later_s)
    assert held_code(latest, ages) == expected


@pytest.mark.parametrize("step_s", STEPS_S)
def test_restart_after_the_clock_was_set_counts_from_its_end(step_s: float) -> None:
    before, ages = ended(2 * HOUR, 2 * HOUR), RestartAges()
    ages.look(before, NOW, 0.0)
    latest = ended(-step_s, 2 * HOUR, -step_s)  # by the clock that was set meanwhile, and is set back again
    ages.look(latest, NOW + 30.0, 30.0)
    assert [ages.age_s(hook) for hook in latest.hooks] == pytest.approx([2 * HOUR + 30.0, 0.0], abs=30.0)
    assert held_code(latest, ages) == "restart_too_soon"


@pytest.mark.parametrize("ahead_s", [2 * HOUR, 400 * DAY_S])
def test_times_in_the_future_hold_back_for_a_day_at_most(ahead_s: float) -> None:
    latest = ended(-ahead_s, *[-ahead_s] * 3)
    ages = seen(latest)
    assert held_code(latest, ages) == "restart_limit"
    ages.look(latest, NOW + DAY_S, DAY_S)
    assert held_code(latest, ages) is None


@pytest.mark.parametrize("step_s", STEPS_S)
def test_time_of_a_restart_is_shown_by_the_clock_as_it_is_set(step_s: float) -> None:
    latest = ended(HOUR)
    ages = seen(latest)
    ages.look(latest, NOW + step_s + 60.0, 60.0)
    assert ages.redated(latest.requested_at) == pytest.approx(NOW - HOUR + step_s)


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


def test_age_of_a_time_in_the_future_is_not_certain() -> None:
    """The clock was set back since: the time may be long ago."""
    ages, restart = RestartAges(), Restart("r", "a", RestartCause.STUCK, NOW + HOUR)
    ages.look(restart, NOW, 0.0)
    assert not ages.is_certain(NOW + HOUR)
    ages.look(restart, NOW + 2 * HOUR, 60.0)
    assert not ages.is_certain(NOW + HOUR)
    later = Restart("r2", "a", RestartCause.STUCK, NOW + 2 * HOUR)
    ages.look(later, NOW + 2 * HOUR, 61.0)
    assert ages.is_certain(NOW + 2 * HOUR)
    ages.look(later, NOW, 62.0)
    assert ages.is_certain(NOW + 2 * HOUR)
