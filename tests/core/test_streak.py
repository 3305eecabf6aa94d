"""The same failure several times in a row: the daemon stops trying, despite any events in between."""

from collections.abc import Callable

import pytest

from statemachine.core import events as e
from statemachine.core.log_entry import Transition
from statemachine.core.messages import verbatim
from statemachine.core.repetition import MOST_IN_A_ROW, NO_STREAK, Streak
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from tests.core.builders import (
    MachineDriver,
    accepted,
    dests,
    driver_in,
    failed,
    interrupted,
    queue,
    submission,
    succeeded,
)

S, R = State, Reason
RESTARTED = e.PromptAbsent(R.SERVER_RESTARTED, verbatim("away"))
LOST = e.PromptAbsent(R.PROMPT_LOST, verbatim("gone"))
MISS, HIT = e.NotAnswering(verbatim("timed out")), e.Answering()
RESTART = e.LinkOpened("after a restart", refused_before=True)


def warm_until(driver: MachineDriver, end: e.Event, prompt_id: str = "ours") -> Transition:
    """Warm a cold server and let the warm-up end; return the transition of its end."""
    driver.warm(prompt_id)
    return driver.apply(end)[-1]


def check_again(driver: MachineDriver) -> State:
    """Check after a restart: the key is missing."""
    driver.apply(RESTART)
    driver.check("k1")
    return driver.state


def driver_that_gave_up() -> MachineDriver:
    driver = driver_in(S.COLD)
    for _ in range(MOST_IN_A_ROW):
        warm_until(driver, RESTARTED)
        check_again(driver)
    assert driver.state is S.FAILED
    return driver


def test_third_restart_under_warm_up_fails_with_its_reason() -> None:
    driver = driver_in(S.COLD)
    for _ in range(MOST_IN_A_ROW - 1):
        assert warm_until(driver, RESTARTED).dest is S.UNKNOWN
        assert check_again(driver) is S.COLD
    last = warm_until(driver, RESTARTED)
    assert (last.dest, last.reason) == (S.FAILED, R.WARM_UP_ENDS_SERVER)
    assert "memory" in sentence(last.message)


@pytest.mark.parametrize(
    "between",
    [
        [RESTART],
        [MISS, MISS, MISS, HIT, HIT],
        [e.PauseRequested(), e.ResumeRequested()],
        [e.CheckRequested()],
    ],
    ids=["restart", "unreachable", "paused", "check"],
)
def test_server_that_gave_up_is_not_warmed_before_backoff(between: list[e.Event]) -> None:
    driver = driver_that_gave_up()
    driver.apply(*between)
    (*_, last) = driver.check("k1")
    assert (last.dest, last.reason) == (S.FAILED, R.WARM_UP_ENDS_SERVER)


def test_server_that_gave_up_is_loaded_if_check_says_so() -> None:
    driver = driver_that_gave_up()
    driver.apply(RESTART)
    assert driver.check()[-1].dest is S.LOADED
    assert not driver.server.streak.gave_up


def test_each_backoff_allows_one_warm_up() -> None:
    driver = driver_that_gave_up()
    for _ in range(3):
        driver.apply(e.RetryDue())
        driver.check("k1")
        assert driver.state is S.COLD
        assert warm_until(driver, RESTARTED).dest is S.FAILED


@pytest.mark.parametrize("event", [e.WarmRequested(), e.SettingsChanged()])
def test_operator_ends_streak(event: e.Event) -> None:
    driver = driver_that_gave_up()
    driver.apply(event)
    driver.check("k1")
    assert driver.state is S.COLD
    assert warm_until(driver, RESTARTED).dest is S.UNKNOWN


def test_prompt_lost_with_its_connection_was_lost_by_a_restart() -> None:
    driver = driver_in(S.WARMING)
    assert not driver.server.was_away_during(driver.attempt)
    driver.apply(e.LinkLost(verbatim("closed")))
    assert driver.server.was_away_during(driver.attempt)


@pytest.mark.parametrize(("refused", "away"), [(True, True), (False, False)])
def test_refused_connection_shows_that_the_process_has_ended(*, refused: bool, away: bool) -> None:
    """Without /ws a quick restart shows only in a single request."""
    driver = driver_in(S.WARMING)
    driver.apply(e.NotAnswering(verbatim("refused"), refused=refused), HIT)
    assert driver.server.was_away_during(driver.attempt) is away


def test_loaded_server_ends_streak() -> None:
    driver = driver_in(S.COLD)
    warm_until(driver, RESTARTED)
    check_again(driver)
    warm_until(driver, RESTARTED)
    driver.check()
    driver.apply(driver.answer("k1"))
    assert warm_until(driver, RESTARTED).dest is S.UNKNOWN


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (LOST, R.PROMPT_LOST),
        (interrupted(), R.PROMPT_INTERRUPTED),
        (failed(), R.PROMPT_FAILED),
        (failed(memory=True), R.OUT_OF_MEMORY),
    ],
)
def test_same_end_three_times_is_not_repeated_after_restart(end: e.Event, reason: Reason) -> None:
    driver = driver_in(S.COLD)
    for _ in range(MOST_IN_A_ROW - 1):
        warm_until(driver, end)
        assert check_again(driver) is S.COLD
    last = warm_until(driver, end)
    assert (last.dest, last.reason) == (S.FAILED, reason)
    assert check_again(driver) is S.FAILED
    assert driver.server.reason is reason


@pytest.mark.parametrize("reason", [R.PROMPT_REFUSED, R.ACCESS_DENIED])
def test_refusal_three_times_is_not_repeated_after_restart(reason: Reason) -> None:
    driver = driver_in(S.COLD)
    for _ in range(MOST_IN_A_ROW):
        assert driver.state is S.COLD
        driver.apply(submission(), e.PromptRefused(reason, verbatim("no")))
        check_again(driver)
    assert (driver.state, driver.server.reason) == (S.FAILED, reason)


PART = e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True)
LATER_LOOK = (e.CheckRequested(), e.SubmissionUncertain())


@pytest.mark.parametrize("look", [(), LATER_LOOK], ids=["frame", "look-up"])
@pytest.mark.parametrize(
    "end",
    [succeeded, failed, interrupted, lambda **_: LOST, lambda **_: RESTARTED],
    ids=["succeeded", "failed", "interrupted", "lost", "restarted"],
)
def test_refused_part_counts_whatever_the_rest_does(end: Callable[..., e.Event], look: tuple[e.Event, ...]) -> None:
    driver = driver_in(S.COLD)
    for _ in range(MOST_IN_A_ROW):
        assert driver.state is S.COLD
        assert dests(driver, submission(), PART) == [S.SUBMITTING, S.FAILED]
        driver.apply(*look, end(proved_by=Source.HISTORY))
        assert driver.server.open_attempt is None
        check_again(driver)
    assert (driver.state, driver.server.reason) == (S.FAILED, R.PROMPT_REFUSED)
    assert driver.server.contention.losses == 0


def test_refused_part_does_not_matter_if_everything_is_cached() -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(PART, succeeded(), e.CheckRequested())
    assert driver.check()[-1].dest is S.LOADED
    assert driver.server.streak == NO_STREAK


def test_success_without_effect_three_times_is_not_repeated_after_restart() -> None:
    driver = driver_in(S.COLD)
    for _ in range(MOST_IN_A_ROW):
        driver.warm()
        driver.apply(succeeded(), driver.answer("k1"))
        check_again(driver)
    assert driver.state is S.FAILED
    assert driver.server.reason is R.STILL_COLD_AFTER_SUCCESS


def test_different_failures_do_not_add_up() -> None:
    driver = driver_in(S.COLD)
    for end in (RESTARTED, interrupted(), RESTARTED, interrupted(), RESTARTED):
        assert dests(driver, submission(), accepted(), end)[-1] is S.UNKNOWN
        assert check_again(driver) is S.COLD


@pytest.mark.parametrize("reason", [R.WARM_UP_ENDS_SERVER, R.PROMPT_LOST, R.PROMPT_INTERRUPTED])
def test_server_that_had_given_up_is_not_warmed_by_the_next_daemon(reason: Reason) -> None:
    driver = MachineDriver()
    driver.server.streak = Streak(reason, MOST_IN_A_ROW).resumed
    assert driver.check("k1")[-1].reason is reason


@pytest.mark.parametrize("reason", [R.PROMPT_FAILED, R.ACCESS_DENIED, R.PROMPT_REFUSED])
def test_server_that_fails_each_time_is_warmed_once_by_the_next_daemon(reason: Reason) -> None:
    driver = MachineDriver()
    driver.server.streak = Streak(reason, 7).resumed
    assert driver.check("k1")[-1].dest is S.COLD
    assert driver.server.streak.extended(reason).gave_up


@pytest.mark.parametrize("count", [1, 2])
def test_deaths_before_the_next_daemon_count(count: int) -> None:
    driver = MachineDriver()
    driver.server.streak = Streak(R.WARM_UP_ENDS_SERVER, count).resumed
    driver.check("k1")
    for _ in range(MOST_IN_A_ROW - count):
        assert driver.state is S.COLD
        warm_until(driver, RESTARTED)
        check_again(driver)
    assert (driver.state, driver.server.reason) == (S.FAILED, R.WARM_UP_ENDS_SERVER)


def test_end_of_the_process_seen_once_names_the_row() -> None:
    """A daemon that is restarted meanwhile cannot distinguish a lost prompt from an ended process."""
    streak = Streak()
    for reason in (R.PROMPT_LOST, R.WARM_UP_ENDS_SERVER, R.PROMPT_LOST):
        streak = streak.extended(reason)
    assert streak == Streak(R.WARM_UP_ENDS_SERVER, 3)


@pytest.mark.parametrize("end", [[RESTART], [MISS, MISS, MISS, HIT, HIT]], ids=["restart", "unreachable"])
def test_own_loading_that_ends_the_server_withholds_the_check(end: list[e.Event]) -> None:
    driver = MachineDriver()
    for _ in range(MOST_IN_A_ROW):
        assert not driver.server.check_ends_it
        driver.check("k1", auto=True)
        driver.apply(*end)
    assert driver.server.check_ends_it
    driver.apply(e.CheckStarted())
    (one,) = driver.apply(e.CheckWithheld())
    assert (one.dest, one.reason) == (S.FAILED, R.WARM_UP_ENDS_SERVER)
    driver.apply(e.RetryDue())
    assert not driver.server.check_ends_it


def test_link_lost_while_the_server_loads_is_not_the_end_of_its_process() -> None:
    """A proxy may close an idle connection each minute."""
    driver = MachineDriver()
    for _ in range(2 * MOST_IN_A_ROW):
        driver.check("k1", auto=True)
        driver.apply(e.LinkLost(verbatim("closed")), e.LinkOpened("next", refused_before=False), queue(1), queue(0))
        driver.apply(e.PauseRequested(), e.ResumeRequested())
    assert driver.server.streak.count == 0


def test_own_loading_that_vanishes_with_the_link_ends_the_process() -> None:
    """A supervisor may restart the process before any connection is refused."""
    driver = MachineDriver()
    for _ in range(MOST_IN_A_ROW):
        driver.check("k1", auto=True)
        driver.apply(e.LinkLost(verbatim("closed")), e.LinkOpened("next", refused_before=False), queue(0))
        driver.apply(e.PauseRequested(), e.ResumeRequested())
    assert driver.server.check_ends_it


def test_own_loading_whose_process_ends_before_the_answer_counts() -> None:
    driver = MachineDriver()
    driver.apply(e.LinkOpened("first", refused_before=False))
    for _ in range(MOST_IN_A_ROW):
        assert not driver.server.check_ends_it
        driver.apply(e.CheckStarted(), e.LinkLost(verbatim("closed")), driver.answer("k1", auto=True, age=1))
        assert driver.state is S.AUTO_EXECUTING
        driver.apply(e.LinkOpened("next", refused_before=False), queue(0))
        driver.apply(e.PauseRequested(), e.ResumeRequested())
    assert driver.server.check_ends_it


@pytest.mark.parametrize(("unsent", "reason"), [(False, R.WARM_UP_ENDS_SERVER), (True, R.PROMPT_LOST)])
def test_process_that_ends_before_the_answer_to_the_post_counts(*, unsent: bool, reason: Reason) -> None:
    driver = driver_in(S.COLD)
    for _ in range(MOST_IN_A_ROW):
        assert driver.state is S.COLD
        driver.apply(submission())
        driver.attempt.posted = True
        driver.apply(e.LinkLost(verbatim("closed")))
        driver.apply(e.SubmissionUnanswered(verbatim("reset"), answered=False, refused=unsent), RESTARTED)
        check_again(driver)
    assert (driver.state, driver.server.reason) == (S.FAILED, reason)


def test_post_without_answer_in_an_outage_does_not_blame_the_warm_up() -> None:
    driver = driver_in(S.COLD)
    for _ in range(MOST_IN_A_ROW):
        driver.apply(submission())
        driver.attempt.posted = True
        driver.apply(e.SubmissionUnanswered(verbatim("timed out"), answered=False), MISS, MISS, MISS, HIT, HIT)
        driver.apply(e.SubmissionUncertain(), RESTARTED)
        check_again(driver)
    assert (driver.state, driver.server.reason) == (S.FAILED, R.PROMPT_LOST)


def test_own_loading_that_ends_well_does_not_withhold_the_check() -> None:
    driver = MachineDriver()
    for _ in range(2 * MOST_IN_A_ROW):
        driver.check("k1", auto=True)
        driver.apply(RESTART)
        driver.check("k1", auto=True)
        driver.apply(e.QueueDrained())
        driver.apply(driver.answer())
        driver.apply(e.LinkLost(verbatim("closed")))
    assert not driver.server.check_ends_it


@pytest.mark.parametrize("away", [[RESTART], [MISS, MISS, MISS, HIT, HIT]], ids=["restart", "unreachable"])
def test_process_that_ends_before_success_is_confirmed_counts(away: list[e.Event]) -> None:
    driver = driver_in(S.COLD)
    for _ in range(MOST_IN_A_ROW):
        assert driver.state is S.COLD
        warm_until(driver, succeeded())
        driver.apply(*away)
        driver.apply(e.CheckRequested())
        driver.check("k1")
    assert (driver.state, driver.server.reason) == (S.FAILED, R.WARM_UP_ENDS_SERVER)


def test_outage_before_a_true_success_is_confirmed_is_forgotten() -> None:
    driver = driver_in(S.COLD)
    warm_until(driver, succeeded())
    driver.apply(MISS, MISS, MISS, HIT, HIT)
    driver.check()
    assert driver.state is S.LOADED
    assert driver.server.streak.count == 0
