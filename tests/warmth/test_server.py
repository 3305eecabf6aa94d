"""One server: evictions, times to warm, attempts and their failures."""

import pytest

from statemachine.core.vocabulary import Reason, Source, State
from statemachine.warmth.stats import Figures, Moments, scope_of
from tests.warmth.log_builder import BEGIN, HOUR, LogBuilder

R, S = Reason, State


@pytest.fixture
def log() -> LogBuilder:
    """Return a log in the daemon's first run."""
    return LogBuilder().start_run()


def figures(log: LogBuilder, window: str = "7d") -> Figures:
    """Return the figures of server a at the end of the log."""
    server = log.history().server("a")
    assert server is not None
    return scope_of([server], Moments(log.now)).windows[window]


# Time to warm.


def test_time_to_warm_runs_from_cold_verdict_to_loaded(log: LogBuilder) -> None:
    log.cold().wait(20).submitted().wait(100).succeeded().wait(3).go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).time_to_warm_p50_s) == (1, 123.0)


def test_time_to_warm_includes_failure_and_retry(log: LogBuilder) -> None:
    log.cold().wait(10).submitted("p").wait(5).go(S.FAILED, R.PROMPT_FAILED, prompt="p")
    log.wait(900).recheck(R.RETRY_DUE).cold().submitted("q").wait(60).succeeded("q").go(S.LOADED, R.ALL_CACHED)
    assert figures(log).time_to_warm_p99_s == 975.0


def test_time_to_warm_of_two_workflows_is_one_sample(log: LogBuilder) -> None:
    log.cold().submitted("p").wait(30).succeeded("p").go(S.COLD, R.KEYS_MISSING)
    log.submitted("q").wait(40).succeeded("q").go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).time_to_warm_p50_s, figures(log).attempts) == (1, 70.0, 2)


def test_time_to_warm_excludes_foreign_work(log: LogBuilder) -> None:
    log.cold().wait(20).go(S.CHECKING, R.FOREIGN_WORK_FINISHED).go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).time_to_warm_p50_s) == (0, None)


def test_time_to_warm_excludes_warm_up_before_cold_verdict(log: LogBuilder) -> None:
    log.go(S.SUBMITTING, R.PROMPT_IN_DOUBT, prompt="p").go(S.WARMING, R.PROMPT_ACCEPTED, prompt="p")
    log.succeeded("p").go(S.COLD, R.KEYS_MISSING).wait(50).go(S.LOADED, R.ALL_CACHED)
    assert figures(log).warmed == 0


@pytest.mark.parametrize(
    ("away", "reason"), [(S.UNREACHABLE, R.NOT_ANSWERING), (S.PAUSED, R.PAUSE_REQUESTED)], ids=lambda one: one.value
)
def test_time_to_warm_restarts_after_absence(log: LogBuilder, away: State, reason: Reason) -> None:
    log.cold().wait(1_000).go(away, reason).wait(5_000).recheck(R.ANSWERING_AGAIN)
    log.cold().wait(7).submitted().succeeded().go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).time_to_warm_p99_s) == (1, 7.0)


def test_time_to_warm_across_daemon_restart_is_not_measured(log: LogBuilder) -> None:
    log.cold().submitted().wait(100).start_run()
    log.go(S.SUBMITTING, R.PROMPT_IN_DOUBT, prompt="p").go(S.WARMING, R.PROMPT_ACCEPTED, prompt="p")
    log.succeeded().go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).warmed, figures(log).attempts) == (0, 1)


# Evictions.


@pytest.mark.parametrize(
    ("dest", "reason"), [(S.COLD, R.KEYS_MISSING), (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING)], ids=["cold", "auto"]
)
@pytest.mark.parametrize("doubt", [R.FOREIGN_WORK_FINISHED, R.LINK_RESTORED, R.CHECK_REQUESTED, None])
def test_eviction_of_loaded_server_found_cold_counts(
    log: LogBuilder, doubt: Reason | None, dest: State, reason: Reason
) -> None:
    log.loaded().wait(60)
    if doubt is None:
        log.go(dest, reason)
    else:
        log.recheck(doubt).checked(dest, reason)
    assert figures(log).evictions == 1


def test_eviction_of_server_that_stays_cold_counts_once(log: LogBuilder) -> None:
    log.loaded().go(S.COLD, R.KEYS_MISSING)
    log.recheck(R.LINK_RESTORED).cold().go(S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING)
    assert figures(log).evictions == 1


@pytest.mark.parametrize("reason", [R.SERVER_RESTARTED, R.LINK_LOST, R.SETTINGS_CHANGED])
def test_eviction_is_not_counted_after_possible_restart(log: LogBuilder, reason: Reason) -> None:
    log.loaded().wait(60).recheck(reason).cold()
    assert figures(log).evictions == 0


@pytest.mark.parametrize(
    ("away", "reason"),
    [(S.UNREACHABLE, R.NOT_ANSWERING), (S.PAUSED, R.PAUSE_REQUESTED), (S.FAILED, R.CHECK_ABSENT)],
    ids=["unreachable", "paused", "failed"],
)
def test_eviction_is_not_counted_after_absence(log: LogBuilder, away: State, reason: Reason) -> None:
    log.loaded().go(away, reason).recheck(R.ANSWERING_AGAIN).cold()
    assert figures(log).evictions == 0


def test_eviction_is_not_counted_across_daemon_restart(log: LogBuilder) -> None:
    log.loaded().wait(60).start_run().cold()
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
    ],
)
def test_attempt_with_failed_end_counts_by_reason(log: LogBuilder, dest: State, reason: Reason) -> None:
    log.cold().submitted().go(dest, reason, prompt="p")
    assert (figures(log).attempts, figures(log).failed_attempts) == (1, {reason.value: 1})


@pytest.mark.parametrize("reason", [R.MISSING_NODES, R.MISSING_MODELS, R.WORKFLOW_NOT_API_FORMAT, R.WORKFLOW_MISSING])
def test_what_the_preflight_stops_is_no_attempt(log: LogBuilder, reason: Reason) -> None:
    log.cold().go(S.FAILED, reason, by=Source.PREFLIGHT)
    assert (figures(log).attempts, figures(log).failed_attempts) == (0, {})


def test_what_the_journal_stops_before_its_post_is_no_attempt(log: LogBuilder) -> None:
    log.cold().submitted().go(S.COLD, R.JOURNAL_UNAVAILABLE, prompt="p")
    assert (figures(log).attempts, figures(log).failed_attempts) == (0, {})


@pytest.mark.parametrize("reason", [R.STILL_COLD_AFTER_SUCCESS, R.CACHED_WITHOUT_LOADING])
@pytest.mark.parametrize("dest", [S.COLD, S.FAILED])
def test_attempt_with_ineffective_success_counts_as_failed(log: LogBuilder, dest: State, reason: Reason) -> None:
    log.cold().submitted().succeeded().wait(5).go(dest, reason)
    assert (figures(log).attempts, figures(log).failed_attempts) == (1, {reason.value: 1})


def test_failure_has_time_of_its_attempt(log: LogBuilder) -> None:
    log.cold().submitted().succeeded().wait(HOUR / 2).go(S.COLD, R.STILL_COLD_AFTER_SUCCESS).wait(HOUR / 2 + 1)
    assert (figures(log, "1h").attempts, figures(log, "1h").failed_attempts) == (0, {})
    assert (figures(log, "24h").attempts, sum(figures(log, "24h").failed_attempts.values())) == (1, 1)


@pytest.mark.parametrize(
    ("dest", "reason"),
    [(S.UNREACHABLE, R.NOT_ANSWERING), (S.PAUSED, R.PAUSE_REQUESTED), (S.UNKNOWN, R.SETTINGS_CHANGED)],
    ids=["unreachable", "paused", "changed"],
)
def test_attempt_out_of_sight_has_not_ended(log: LogBuilder, dest: State, reason: Reason) -> None:
    log.cold().submitted().go(dest, reason, prompt="p")
    assert (figures(log).attempts, figures(log).failed_attempts) == (0, {})


def test_attempt_stuck_then_finished_counts_once(log: LogBuilder) -> None:
    log.cold().submitted().go(S.FAILED, R.QUEUE_STUCK, prompt="p").wait(900).recheck(R.RETRY_DUE)
    log.go(S.SUBMITTING, R.PROMPT_IN_DOUBT, prompt="p").go(S.WARMING, R.PROMPT_ACCEPTED, prompt="p")
    log.succeeded().go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).attempts, figures(log).failed_attempts) == (1, {"queue_stuck": 1})


def test_attempt_with_success_is_not_failed(log: LogBuilder) -> None:
    log.cold().submitted().succeeded().go(S.LOADED, R.ALL_CACHED)
    assert (figures(log).attempts, figures(log).failed_attempts) == (1, {})


# Share of time warm.


def test_warm_share_excludes_pause(log: LogBuilder) -> None:
    log.loaded().wait(600).go(S.PAUSED, R.PAUSE_REQUESTED).wait(3 * HOUR).recheck(R.RESUME_REQUESTED).cold().wait(600)
    assert figures(log).warm_share == pytest.approx(0.5)


def test_clock_set_back_stands_still_until_it_catches_up(log: LogBuilder) -> None:
    log.loaded().wait(600).go(S.COLD, R.KEYS_MISSING).submitted().wait(-400).succeeded().go(S.LOADED, R.ALL_CACHED)
    log.wait(100).go(S.COLD, R.KEYS_MISSING).wait(900)
    assert log.now == BEGIN + 1_200
    assert figures(log).warm_share == pytest.approx(0.5)
    assert (figures(log).evictions, figures(log).time_to_warm_p99_s) == (2, 0.0)
