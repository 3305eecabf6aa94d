"""Ends of prompts: early, uncertain, late, and of foreign prompts."""

from dataclasses import replace

import pytest

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.prompt_reducers import MOST_EARLY
from statemachine.core.server import MOST_BLOCKED, Outcome
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from tests.core.builders import (
    FOREIGN,
    OURS,
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
MISS = e.NotAnswering(verbatim("timed out"))


# Frames that arrive before the reply to our POST.


@pytest.mark.parametrize(
    ("early", "dest", "outcome"),
    [
        (succeeded(), S.CHECKING, Outcome.SUCCEEDED),
        (failed(), S.FAILED, Outcome.FAILED),
        (interrupted(), S.UNKNOWN, Outcome.INTERRUPTED),
    ],
)
def test_prompt_end_before_reply_is_applied_after_reply(early: e.PromptEnd, dest: State, outcome: Outcome) -> None:
    driver = driver_in(S.SUBMITTING)
    assert not driver.apply(early)
    assert driver.attempt.is_open
    assert dests(driver, accepted()) == [S.WARMING, dest]
    assert driver.attempt.outcome is outcome


@pytest.mark.parametrize(
    ("end", "dest", "outcome"),
    [
        (succeeded("minted"), S.CHECKING, Outcome.SUCCEEDED),
        (failed("minted"), S.FAILED, Outcome.FAILED),
        (interrupted("minted"), S.UNKNOWN, Outcome.INTERRUPTED),
    ],
)
def test_frames_with_minted_id_before_reply_are_applied(end: e.PromptEnd, dest: State, outcome: Outcome) -> None:
    driver = driver_in(S.SUBMITTING)
    assert not driver.apply(succeeded(FOREIGN), e.PromptCached("minted", ("20",)), end)
    assert dests(driver, accepted(OURS, "minted")) == [S.WARMING, dest]
    assert driver.attempt.outcome is outcome
    assert driver.attempt.cached_nodes == ("20",)


@pytest.mark.parametrize("status_first", [True, False])
def test_end_with_minted_id_shortens_queue_once(status_first: bool) -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(queue(3), succeeded("minted"))
    after: list[e.Event] = [queue(2), accepted(OURS, "minted")]
    driver.apply(*(after if status_first else reversed(after)))
    driver.apply(queue(2), *([] if status_first else [queue(2)]))
    driver.apply(queue(1))
    assert driver.server.foreign_work_ended


def test_early_frames_of_unknown_prompts_are_bounded() -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(*[interrupted(f"foreign {number}") for number in range(1000)])
    assert len(driver.attempt.early) == MOST_EARLY


def test_early_success_of_partly_refused_prompt_closes_attempt() -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(succeeded(), e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True))
    assert driver.server.open_attempt is None
    assert S.LOADED not in dests(driver, e.CheckStarted())


def test_prompt_end_without_reply_is_applied_from_history() -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(succeeded(), e.SubmissionUnanswered(verbatim("timed out"), answered=False))
    assert driver.state is S.SUBMITTING
    assert dests(driver, succeeded(proved_by=Source.HISTORY)) == [S.CHECKING]


def test_prompt_end_with_server_prompt_id_is_applied() -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(accepted(OURS, "theirs"))
    assert not driver.apply(succeeded(FOREIGN))
    assert dests(driver, succeeded("theirs")) == [S.CHECKING]


# Uncertain prompts: an open attempt is settled before anything else.


@pytest.mark.parametrize("by", [e.PauseRequested(), e.PromptStuck(verbatim("no progress")), MISS])
def test_open_attempt_in_unknown_state_is_looked_up(by: e.Event) -> None:
    driver = driver_in(S.WARMING)
    driver.apply(*[by] * 3)
    driver.apply(e.ResumeRequested(), e.RetryDue(), e.Answering(), e.Answering())
    assert driver.state is S.UNKNOWN
    (one,) = driver.apply(e.SubmissionUncertain())
    assert (one.dest, one.reason, one.prompt_id) == (S.SUBMITTING, R.PROMPT_IN_DOUBT, OURS)
    assert dests(driver, accepted()) == [S.WARMING]


def test_uncertain_prompt_absent_is_lost_and_next_is_submitted() -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(
        e.SubmissionUnanswered(verbatim("timed out"), answered=False), e.PromptAbsent(R.PROMPT_LOST, verbatim("gone"))
    )
    assert driver.attempt.outcome is Outcome.LOST
    assert driver.server.failures == 1
    driver.check("k1")
    assert dests(driver, submission("next")) == [S.SUBMITTING]


def test_refused_prompt_still_running_keeps_attempt_open() -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True))
    assert (driver.state, driver.attempt.is_open) == (S.FAILED, True)
    driver.apply(e.RetryDue())
    assert dests(driver, e.SubmissionUncertain()) == [S.SUBMITTING]


@pytest.mark.parametrize("state", [S.SUBMITTING, S.WARMING])
@pytest.mark.parametrize("away", [False, True])
def test_only_prompt_reported_as_stuck_counts_as_stuck(state: State, *, away: bool) -> None:
    """The last look at a prompt may make its server unreachable; then nothing reports that its time is over."""
    driver = driver_in(state)
    driver.apply(*([MISS] * 3 if away else ()))
    assert dests(driver, e.PromptStuck(verbatim("no progress"))) == ([] if away else [S.FAILED])
    assert driver.attempt.stuck is not away


def test_withheld_submission_is_not_in_flight() -> None:
    driver = driver_in(S.SUBMITTING)
    driver.apply(e.SubmissionWithheld(verbatim("disk full")))
    assert (driver.state, driver.attempt.outcome) == (S.COLD, Outcome.WITHHELD)
    assert dests(driver, submission("next")) == [S.SUBMITTING]


def test_closed_attempt_is_not_reopened() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(failed(), e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True), accepted())
    assert driver.attempt.outcome is Outcome.FAILED


# Prompts of others.


@pytest.mark.parametrize("state", [S.SUBMITTING, S.WARMING])
@pytest.mark.parametrize(
    "event",
    [
        accepted(FOREIGN),
        e.PromptCached(FOREIGN, ("20",)),
        e.PromptNodeStarted(FOREIGN, "10"),
        e.PromptProgress(FOREIGN, 3.0),
        *[end(FOREIGN, by) for end in (succeeded, failed, interrupted) for by in (Source.WS, Source.HISTORY)],
    ],
)
def test_foreign_prompt_event_changes_nothing(state: State, event: e.Event) -> None:
    driver = driver_in(state)
    before = (driver.attempt.outcome, driver.attempt.progress, driver.attempt.cached_nodes)
    assert not driver.apply(event)
    assert before == (driver.attempt.outcome, driver.attempt.progress, driver.attempt.cached_nodes)
    assert dests(driver, accepted()) == ([S.WARMING] if state is S.SUBMITTING else [])
    assert driver.attempt.is_open


def test_foreign_success_leaves_server_failed() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(failed())
    assert not driver.apply(succeeded(FOREIGN), succeeded(FOREIGN, Source.HISTORY), succeeded())
    assert driver.state is S.FAILED


def test_stuck_prompt_succeeding_late_triggers_check() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(e.PromptStuck(verbatim("no progress")))
    assert dests(driver, succeeded(FOREIGN)) == []
    assert dests(driver, succeeded()) == [S.UNKNOWN]


def test_late_frame_does_not_change_closed_attempt() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(succeeded(), e.PromptCached(OURS, ("20", "21")))
    assert driver.attempt.cached_nodes == ()


# Nodes that an ExecutionBlocker skips.

BLOCKED = e.PromptNodeBlocked(OURS, verbatim("node 20 was blocked: no licence"))
AGAIN = replace(BLOCKED, blocked=verbatim("node 21 was blocked: no licence"))


def test_prompt_with_blocked_nodes_succeeds_and_keeps_their_texts() -> None:
    driver = driver_in(S.WARMING)
    assert not driver.apply(BLOCKED, BLOCKED, AGAIN)
    (ended,) = driver.apply(succeeded())
    assert (ended.dest, driver.attempt.outcome) == (S.CHECKING, Outcome.SUCCEEDED)
    texts = "node 20 was blocked: no licence; node 21 was blocked: no licence"
    assert sentence(ended.message).endswith(texts)
    assert sentence(driver.attempt.message) == texts
    (loaded,) = driver.apply(driver.answer())
    assert loaded.dest is S.LOADED
    assert sentence(loaded.message).endswith(texts)


def test_prompt_without_effect_names_its_blocked_nodes() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(BLOCKED, succeeded())
    (cold,) = driver.apply(driver.answer("k1"))
    assert cold.reason is R.STILL_COLD_AFTER_SUCCESS
    assert sentence(cold.message).endswith("node 20 was blocked: no licence")


def test_blocked_node_of_prompt_that_raises_later_fails_with_its_own_text() -> None:
    driver = driver_in(S.WARMING)
    (ended,) = driver.apply(BLOCKED, failed())
    assert (ended.dest, sentence(ended.message)) == (S.FAILED, "node 10 raised")


def test_blocked_node_with_minted_id_before_reply_is_kept() -> None:
    driver = driver_in(S.SUBMITTING)
    assert not driver.apply(replace(BLOCKED, prompt_id="minted"), replace(BLOCKED, prompt_id=FOREIGN))
    driver.apply(accepted(OURS, "minted"))
    assert driver.attempt.blocked == (BLOCKED.blocked,)


def test_blocked_nodes_that_are_kept_are_few() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(*(replace(BLOCKED, blocked=verbatim(str(number))) for number in range(100)))
    assert len(driver.attempt.blocked) == MOST_BLOCKED
