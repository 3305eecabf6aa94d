"""One restart in the server's memory: what opens it, moves it on and ends it."""

from dataclasses import replace

import pytest

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.pause import PauseTerms
from statemachine.core.restart import DAY_S, MOST_HOOKS, Restart, RestartCause, RestartStage
from statemachine.core.vocabulary import Reason, Source, State
from tests.core.builders import MachineDriver, driver_in, hook_started, restart, submission

R, RS = Reason, RestartStage


def stage(driver: MachineDriver) -> RestartStage | None:
    return driver.server.restart.stage if driver.server.restart is not None else None


def returned() -> MachineDriver:
    """Return a server that has come back from a restart."""
    driver = driver_in(State.RESTARTING)
    driver.apply(e.ServerReturned())
    return driver


def test_restart_ends_when_a_check_confirms_loaded() -> None:
    driver = returned()
    assert (driver.state, stage(driver)) == (State.UNKNOWN, RS.RETURNED)
    driver.check("k1")
    driver.warm()
    assert stage(driver) is RS.RETURNED
    driver.apply(e.PromptSucceeded("ours", Source.WS))
    driver.apply(driver.answer())
    assert (driver.state, stage(driver)) == (State.LOADED, RS.SUCCEEDED)
    ended = driver.server.restart
    assert ended is not None
    assert (ended.is_open, ended.reason, ended.ended_at) == (False, R.ALL_CACHED, driver.now)


@pytest.mark.parametrize("state", [state for state in State if state not in {State.PAUSED, State.RESTARTING}])
def test_request_while_a_restart_is_open_changes_nothing(state: State) -> None:
    driver = driver_in(state)
    driver.apply(e.RestartRequested("first"))
    before = driver.server.restart
    assert driver.apply(e.RestartRequested("second")) == []
    assert driver.server.restart is before


def test_only_a_person_replaces_a_restart_whose_server_has_returned() -> None:
    for cause in set(RestartCause) - {RestartCause.OPERATOR}:
        driver = returned()
        assert driver.apply(e.RestartRequested("r2", cause)) == []
    (made,) = returned().apply(e.RestartRequested("r2"))
    assert made.dest is State.DRAINING
    assert returned().apply(e.RestartRequested("r1")) == []


def test_request_with_the_id_of_the_last_restart_changes_nothing() -> None:
    driver = returned()
    driver.check()
    assert stage(driver) is RS.SUCCEEDED
    assert driver.apply(e.RestartRequested("r1", RestartCause.ROLLOUT)) == []
    (made,) = driver.apply(e.RestartRequested("r2", RestartCause.ROLLOUT))
    assert (made.dest, stage(driver)) == (State.DRAINING, RS.DRAINING)


def test_paused_server_is_not_restarted() -> None:
    driver = driver_in(State.PAUSED)
    assert driver.apply(e.RestartRequested("r1")) == []
    assert driver.server.restart is None


@pytest.mark.parametrize(
    ("event", "ended"),
    [
        (e.PauseRequested(), RS.CANCELLED),
        (e.ResumeRequested(), RS.CANCELLED),
        (e.RestartWithheld(R.DRAIN_TIMED_OUT, verbatim("busy")), RS.FAILED),
    ],
)
def test_draining_ends_without_hook(event: e.Event, ended: RestartStage) -> None:
    driver = driver_in(State.DRAINING)
    driver.apply(event)
    assert stage(driver) is ended
    assert driver.server.restart is not None
    assert driver.server.restart.hook_started_at is None


def test_pause_leaves_a_restart_open_whose_hook_has_begun() -> None:
    driver = driver_in(State.RESTARTING)
    driver.apply(e.PauseRequested())
    assert (driver.state, stage(driver)) == (State.PAUSED, RS.HOOK)
    driver.apply(e.PauseRequested(terms=PauseTerms(None, "night")))
    assert stage(driver) is RS.HOOK
    (made,) = driver.apply(e.ResumeRequested())
    assert (made.dest, stage(driver)) == (State.RESTARTING, RS.HOOK)


@pytest.mark.parametrize(
    ("event", "ended", "reason"),
    [
        (e.RestartFailed(R.HOOK_FAILED, verbatim("status 3")), RS.FAILED, R.HOOK_FAILED),
        (e.PausedHookEnded(verbatim("ended")), RS.CANCELLED, R.PAUSE_REQUESTED),
    ],
)
def test_hook_that_ends_in_a_pause_ends_the_restart(event: e.Event, ended: RestartStage, reason: Reason) -> None:
    driver = driver_in(State.RESTARTING)
    driver.apply(e.PauseRequested())
    (made,) = driver.apply(event)
    restart = driver.server.restart
    assert restart is not None
    assert (made.dest, made.reason, restart.stage, restart.reason) == (State.PAUSED, reason, ended, reason)
    driver.apply(e.PauseEnded())
    assert driver.state is State.UNKNOWN


def test_pause_cancels_a_restart_whose_server_has_returned() -> None:
    driver = returned()
    driver.apply(e.PauseRequested())
    assert stage(driver) is RS.CANCELLED


@pytest.mark.parametrize("state", [State.UNKNOWN, State.CHECKING, State.COLD, State.WARMING])
def test_overdue_restart_is_failed_and_leaves_the_state(state: State) -> None:
    """A warm-up in flight has a limit of its own, and a check may be about to confirm that it has succeeded."""
    driver = returned()
    if state is not State.UNKNOWN:
        driver.apply(e.CheckStarted(), *([] if state is State.CHECKING else [driver.answer("k1")]))
    if state is State.WARMING:
        driver.warm()
    made = driver.apply(e.RestartOverdue(60.0))
    assert driver.state is state
    assert (stage(driver), [one.reason for one in made]) == (
        (RS.RETURNED, []) if state in (State.CHECKING, State.WARMING) else (RS.FAILED, [R.NOT_WARMED])
    )  # fmt: skip
    assert driver.apply(e.RestartOverdue(60.0)) == []


@pytest.mark.parametrize("reason", [R.HOOK_FAILED, R.NOT_RETURNED, R.NOT_RESTARTED])
def test_failed_restart_is_failed_with_its_reason(reason: Reason) -> None:
    driver = driver_in(State.RESTARTING)
    driver.apply(e.RestartFailed(reason, verbatim("why")))
    ended = driver.server.restart
    assert ended is not None
    assert (driver.state, ended.stage, ended.reason, ended.message) == (
        State.FAILED, RS.FAILED, reason, verbatim("why"),
    )  # fmt: skip


def test_returned_server_that_fails_ends_the_restart() -> None:
    driver = returned()
    driver.apply(e.CheckStarted(), e.CheckUnusable(R.CHECK_ABSENT, verbatim("404")))
    assert (driver.state, stage(driver)) == (State.FAILED, RS.FAILED)


def test_returned_server_that_goes_away_again_is_failed_in_time() -> None:
    driver = returned()
    driver.apply(*[e.NotAnswering(verbatim("timed out"))] * 3)
    assert (driver.state, stage(driver)) == (State.UNREACHABLE, RS.RETURNED)
    driver.apply(e.RestartFailed(R.NOT_RETURNED, verbatim("away")))
    assert (driver.state, stage(driver)) == (State.FAILED, RS.FAILED)
    assert driver.apply(e.RestartFailed(R.NOT_RETURNED, verbatim("away"))) == []


def test_silence_while_restarting_is_no_transition_and_shows_that_it_went() -> None:
    driver = driver_in(State.RESTARTING)
    assert driver.apply(*[e.NotAnswering(verbatim("timed out"))] * 2) == []
    assert not driver.server.process_went
    assert driver.apply(e.NotAnswering(verbatim("timed out"))) == []
    assert driver.server.process_went


def test_refused_connection_shows_that_the_process_went() -> None:
    driver = driver_in(State.RESTARTING)
    assert driver.apply(e.NotAnswering(verbatim("refused"), refused=True)) == []
    assert driver.server.process_went


def test_server_that_was_away_when_its_hook_began_is_back_once_it_answers() -> None:
    driver = driver_in(State.UNREACHABLE)
    driver.apply(e.RestartRequested("r1"), hook_started())
    assert driver.server.process_went
    assert not driver_in(State.RESTARTING).server.process_went


def test_our_restart_is_not_counted_against_the_warm_up() -> None:
    """Neither a success before it, nor models that were just loaded, nor our own prompt that was stuck."""
    driver = driver_in(State.COLD)
    driver.apply(submission(), e.PromptAccepted("ours", "ours", Source.REPLY))
    driver.apply(e.PromptStuck(verbatim("no progress")), e.RestartRequested("r1", RestartCause.STUCK))
    driver.apply(hook_started(at=driver.now), e.NotAnswering(verbatim("refused"), refused=True), e.ServerReturned())
    driver.apply(e.SubmissionUncertain(), e.PromptAbsent(R.SERVER_RESTARTED, verbatim("gone")))
    assert driver.server.streak.count == 0
    driver.check("k1")
    assert driver.server.contention.losses == 0


def test_automatic_request_is_confirmed_by_the_daemon_and_says_why() -> None:
    driver = driver_in(State.LOADED)
    (made,) = driver.apply(e.RestartRequested("r1", RestartCause.MEMORY, message=verbatim("95 % in use")))
    assert (made.proved_by, made.message) == (Source.DAEMON, verbatim("95 % in use"))


def test_limit_is_reported_once() -> None:
    driver = driver_in(State.LOADED)
    limit = e.RestartLimitReached(verbatim("3 times"))
    assert [len(driver.apply(limit)) for _ in range(2)] == [1, 0]


def test_last_hooks_are_kept_over_restarts() -> None:
    one = restart()
    for number in range(MOST_HOOKS + 10):
        one = replace(one, stage=RS.DRAINING).hook_begun(None, None, 1_000.0 + number)
    assert len(one.hooks) == MOST_HOOKS


def test_next_restart_keeps_the_hooks_of_a_day() -> None:
    driver = returned()
    driver.check()
    driver.apply(e.RestartRequested("r2"))
    assert driver.server.restart is not None
    assert driver.server.restart.hooks == (1_000.0,)


def test_restart_that_could_not_be_restored_is_given_up() -> None:
    given_up = restart().abandoned(5.0)
    assert (given_up.stage, given_up.reason, given_up.ended_at) == (RS.FAILED, R.JOURNAL_UNAVAILABLE, 5.0)
    ended: Restart = given_up.abandoned(9.0)
    assert ended is given_up


def test_request_repeated_after_the_return_runs_no_second_hook() -> None:
    driver = returned()
    opened = driver.server.restart
    assert opened is not None
    driver.apply(e.RestartRequested(opened.id, RestartCause.ROLLOUT))
    assert (driver.state, driver.server.restart) == (State.UNKNOWN, opened)
    driver.apply(e.CheckStarted())
    driver.apply(e.RestartRequested(opened.id, RestartCause.ROLLOUT))
    assert (driver.state, driver.server.restart) == (State.CHECKING, opened)


def test_restart_without_a_hook_keeps_the_time_of_the_last_hook() -> None:
    driver = driver_in(State.RESTARTING)
    assert driver.server.restart is not None
    last = driver.server.restart.hooks
    driver.apply(e.ServerReturned())
    driver.apply(e.CheckStarted())
    driver.apply(driver.answer())
    driver.now += 7 * DAY_S
    driver.apply(e.RestartRequested("r2", RestartCause.OPERATOR))
    driver.apply(e.ResumeRequested())
    assert driver.server.restart is not None
    assert (driver.server.restart.stage, driver.server.restart.hooks) == (RS.CANCELLED, last)
    assert last
