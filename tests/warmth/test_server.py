"""What one server's transitions mean: evictions, times to warm, attempts and their failures."""

import pytest

from statemachine.core.vocabulary import Reason, Source, State
from statemachine.warmth.stats import Figures, Moments, scope_of
from tests.warmth.chronicle import BEGIN, HOUR, Chronicle

R, S = Reason, State


@pytest.fixture
def log() -> Chronicle:
    """In the daemon's first life."""
    return Chronicle().new_life()


def figures(log: Chronicle, window: str = "7d") -> Figures:
    """Those of server a, as they stand at the end."""
    server = log.book().server("a")
    assert server is not None
    return scope_of([server], Moments(log.now)).windows[window]


# Time to warm.


def test_time_to_warm_runs_from_the_cold_verdict_to_loaded(log: Chronicle) -> None:
    log.cold().wait(20).submitted().wait(100).succeeded().wait(3).go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).time_to_warm_p50_s) == (1, 123.0)


def test_a_failure_in_between_belongs_to_the_time_to_warm(log: Chronicle) -> None:
    log.cold().wait(10).submitted("p").wait(5).go(S.FAILED, R.PROMPT_FAILED, prompt="p")
    log.wait(900).doubt(R.RETRY_DUE).cold().submitted("q").wait(60).succeeded("q").go(S.LOADED, R.ALL_CACHED)
    assert figures(log).time_to_warm_p99_s == 975.0


def test_two_workflows_make_one_time_to_warm(log: Chronicle) -> None:
    log.cold().submitted("p").wait(30).succeeded("p").go(S.COLD, R.KEYS_MISSING)
    log.submitted("q").wait(40).succeeded("q").go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).time_to_warm_p50_s, figures(log).attempts) == (1, 70.0, 2)


def test_what_others_loaded_is_no_time_to_warm(log: Chronicle) -> None:
    log.cold().wait(20).go(S.CHECKING, R.FOREIGN_WORK_FINISHED).go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).time_to_warm_p50_s) == (0, None)


def test_a_warm_up_before_the_cold_verdict_does_not_count(log: Chronicle) -> None:
    log.go(S.SUBMITTING, R.PROMPT_IN_DOUBT, prompt="p").go(S.WARMING, R.PROMPT_ACCEPTED, prompt="p")
    log.succeeded("p").go(S.COLD, R.KEYS_MISSING).wait(50).go(S.LOADED, R.ALL_CACHED)
    assert figures(log).warmed == 0


@pytest.mark.parametrize(
    ("away", "reason"), [(S.UNREACHABLE, R.NOT_ANSWERING), (S.PAUSED, R.PAUSE_REQUESTED)], ids=lambda one: one.value
)
def test_it_begins_anew_where_the_server_was_away(log: Chronicle, away: State, reason: Reason) -> None:
    log.cold().wait(1_000).go(away, reason).wait(5_000).doubt(R.ANSWERING_AGAIN)
    log.cold().wait(7).submitted().succeeded().go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).time_to_warm_p99_s) == (1, 7.0)


def test_it_is_not_measured_over_a_restart_of_the_daemon(log: Chronicle) -> None:
    log.cold().submitted().wait(100).new_life()
    log.go(S.SUBMITTING, R.PROMPT_IN_DOUBT, prompt="p").go(S.WARMING, R.PROMPT_ACCEPTED, prompt="p")
    log.succeeded().go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).attempts) == (0, 1)


# Evictions.


@pytest.mark.parametrize(
    ("dest", "reason"), [(S.COLD, R.KEYS_MISSING), (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING)], ids=["cold", "auto"]
)
@pytest.mark.parametrize("doubt", [R.FOREIGN_WORK_FINISHED, R.LINK_RESTORED, R.CHECK_REQUESTED, None])
def test_a_loaded_server_that_is_found_cold_was_evicted(
    log: Chronicle, doubt: Reason | None, dest: State, reason: Reason
) -> None:
    log.loaded().wait(60)
    if doubt is None:
        log.go(dest, reason)
    else:
        log.doubt(doubt).checked(dest, reason)
    assert figures(log).evictions == 1


def test_an_eviction_counts_once_however_long_the_server_stays_cold(log: Chronicle) -> None:
    log.loaded().go(S.COLD, R.KEYS_MISSING)
    log.doubt(R.LINK_RESTORED).cold().go(S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING)
    assert figures(log).evictions == 1


@pytest.mark.parametrize("reason", [R.SERVER_RESTARTED, R.LINK_LOST, R.SETTINGS_CHANGED])
def test_what_a_restart_may_have_taken_is_no_eviction(log: Chronicle, reason: Reason) -> None:
    log.loaded().wait(60).doubt(reason).cold()
    assert figures(log).evictions == 0


@pytest.mark.parametrize(
    ("away", "reason"),
    [(S.UNREACHABLE, R.NOT_ANSWERING), (S.PAUSED, R.PAUSE_REQUESTED), (S.FAILED, R.CHECK_ABSENT)],
    ids=["unreachable", "paused", "failed"],
)
def test_a_server_that_was_away_was_not_evicted(log: Chronicle, away: State, reason: Reason) -> None:
    log.loaded().go(away, reason).doubt(R.ANSWERING_AGAIN).cold()
    assert figures(log).evictions == 0


def test_cold_after_a_restart_of_the_daemon_is_no_eviction(log: Chronicle) -> None:
    log.loaded().wait(60).new_life().cold()
    assert figures(log).evictions == 0


# Attempts.


@pytest.mark.parametrize(
    ("dest", "reason"),
    [
        (S.FAILED, R.PROMPT_REFUSED),
        (S.FAILED, R.PROMPT_FAILED),
        (S.FAILED, R.OUT_OF_MEMORY),
        (S.FAILED, R.QUEUE_STUCK),
        (S.UNKNOWN, R.PROMPT_INTERRUPTED),
        (S.UNKNOWN, R.PROMPT_LOST),
        (S.UNKNOWN, R.SERVER_RESTARTED),
        (S.COLD, R.JOURNAL_UNAVAILABLE),
    ],
)
def test_a_prompt_that_ends_badly_is_failed_by_its_reason(log: Chronicle, dest: State, reason: Reason) -> None:
    log.cold().submitted().go(dest, reason, prompt="p")
    assert (figures(log).attempts, figures(log).failed_attempts) == (1, {reason.value: 1})


@pytest.mark.parametrize("reason", [R.MISSING_NODES, R.MISSING_MODELS, R.WORKFLOW_NOT_API_FORMAT])
def test_what_is_given_up_before_its_post_is_failed_too(log: Chronicle, reason: Reason) -> None:
    log.cold().go(S.FAILED, reason, by=Source.PREFLIGHT)
    assert (figures(log).attempts, figures(log).failed_attempts) == (1, {reason.value: 1})


@pytest.mark.parametrize("reason", [R.STILL_COLD_AFTER_SUCCESS, R.CACHED_WITHOUT_LOADING])
@pytest.mark.parametrize("dest", [S.COLD, S.FAILED])
def test_a_success_that_brought_nothing_is_one_failed_attempt(log: Chronicle, dest: State, reason: Reason) -> None:
    log.cold().submitted().succeeded().wait(5).go(dest, reason)
    assert (figures(log).attempts, figures(log).failed_attempts) == (1, {reason.value: 1})


def test_it_failed_when_its_prompt_ended_so_both_are_in_a_window_or_neither(log: Chronicle) -> None:
    log.cold().submitted().succeeded().wait(HOUR / 2).go(S.COLD, R.STILL_COLD_AFTER_SUCCESS).wait(HOUR / 2 + 1)
    assert (figures(log, "1h").attempts, figures(log, "1h").failed_attempts) == (0, {})
    assert (figures(log, "24h").attempts, sum(figures(log, "24h").failed_attempts.values())) == (1, 1)


@pytest.mark.parametrize(
    ("dest", "reason"),
    [(S.UNREACHABLE, R.NOT_ANSWERING), (S.PAUSED, R.PAUSE_REQUESTED), (S.UNKNOWN, R.SETTINGS_CHANGED)],
    ids=["unreachable", "paused", "changed"],
)
def test_a_prompt_out_of_sight_has_not_ended(log: Chronicle, dest: State, reason: Reason) -> None:
    log.cold().submitted().go(dest, reason, prompt="p")
    assert (figures(log).attempts, figures(log).failed_attempts) == (0, {})


def test_a_prompt_that_seemed_stuck_and_ended_later_counts_once(log: Chronicle) -> None:
    log.cold().submitted().go(S.FAILED, R.QUEUE_STUCK, prompt="p").wait(900).doubt(R.RETRY_DUE)
    log.go(S.SUBMITTING, R.PROMPT_IN_DOUBT, prompt="p").go(S.WARMING, R.PROMPT_ACCEPTED, prompt="p")
    log.succeeded().go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).attempts, figures(log).failed_attempts) == (1, {"queue_stuck": 1})


def test_a_success_is_an_attempt_that_did_not_fail(log: Chronicle) -> None:
    log.cold().submitted().succeeded().go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).attempts, figures(log).failed_attempts) == (1, {})


# Share of time warm.


def test_a_pause_is_no_part_of_the_time_watched(log: Chronicle) -> None:
    log.loaded().wait(600).go(S.PAUSED, R.PAUSE_REQUESTED).wait(3 * HOUR).doubt(R.RESUME_REQUESTED).cold().wait(600)
    assert figures(log).warm_share == pytest.approx(0.5)


def test_a_clock_that_was_set_back_stands_still_until_it_has_caught_up(log: Chronicle) -> None:
    log.loaded().wait(600).go(S.COLD, R.KEYS_MISSING).submitted().wait(-400).succeeded().go(S.LOADED, R.ALL_CACHED)
    log.wait(100).go(S.COLD, R.KEYS_MISSING).wait(900)
    assert log.now == BEGIN + 1_200
    assert figures(log).warm_share == pytest.approx(0.5)
    assert (figures(log).evictions, figures(log).time_to_warm_p99_s) == (2, 0.0)
