"""Warm-ups, failures, reachability and the messages of transitions."""

import pytest

from statemachine.core import events as e
from statemachine.core.log_entry import entry_of
from statemachine.core.messages import verbatim
from statemachine.core.server import Outcome
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from tests.core.builders import (
    OURS,
    MachineDriver,
    accepted,
    dests,
    driver_in,
    failed,
    interrupted,
    submission,
    succeeded,
)

S, R = State, Reason
MISS = e.NotAnswering(verbatim("timed out"))


# A warm-up from cold to loaded.


def test_warm_up_success_is_loaded_only_after_check() -> None:
    driver = driver_in(S.COLD)
    driver.apply(submission(), accepted(), e.PromptCached(OURS, ()), e.PromptNodeStarted(OURS, "10"))
    driver.apply(e.PromptProgress(OURS, 2.0))
    assert driver.attempt.progress == 0.5
    assert dests(driver, succeeded()) == [S.CHECKING]
    assert (driver.attempt.outcome, driver.attempt.confirmed_by) == (Outcome.SUCCEEDED, Source.WS)
    assert driver.attempt.progress == 1.0
    assert dests(driver, driver.answer()) == [S.LOADED]
    assert driver.server.missing == ()


def test_warm_up_transitions_carry_prompt_id() -> None:
    driver = driver_in(S.COLD)
    transitions = driver.apply(submission(), accepted(), succeeded())
    transitions += driver.apply(driver.answer())
    assert [one.prompt_id for one in transitions] == [OURS, OURS, OURS, None]


def test_progress_counts_cached_nodes_and_never_decreases() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(e.PromptCached(OURS, ("10", "11")))
    assert driver.attempt.progress == 0.5
    driver.apply(e.PromptProgress(OURS, 1.0), e.PromptProgress(OURS, 0.2), e.PromptNodeStarted(OURS, "21"))
    assert driver.attempt.progress == 0.75
    driver.apply(e.PromptProgress(OURS, 99.0))
    assert driver.attempt.progress == 1.0


# Failures.


def test_prompt_failure_out_of_memory_has_own_reason() -> None:
    driver = driver_in(S.WARMING)
    (one,) = driver.apply(failed(memory=True))
    assert (one.dest, one.reason, sentence(one.message)) == (S.FAILED, R.OUT_OF_MEMORY, "node 10 raised")
    assert driver.attempt.outcome is Outcome.FAILED
    assert driver.server.failures == 1


@pytest.mark.parametrize("setback", [failed(), interrupted(), e.PromptAbsent(R.PROMPT_LOST, verbatim("gone"))])
def test_failed_attempt_is_counted_until_everything_is_cached(setback: e.Event) -> None:
    driver = driver_in(S.WARMING)
    driver.apply(setback)
    assert driver.server.failures == 1
    driver.apply(e.CheckRequested())
    driver.check()
    assert driver.server.failures == 0


def test_warm_request_resets_failures() -> None:
    driver = driver_in(S.WARMING)
    driver.apply(failed(), e.WarmRequested())
    assert driver.server.failures == 0


@pytest.mark.parametrize(
    ("request_of", "text"),
    [
        (e.CheckRequested, "the operator requested a check (by alice)"),
        (e.WarmRequested, "the operator requested a warm-up (by alice)"),
        (e.PauseRequested, "the operator paused the server (by alice)"),
    ],
)
def test_operator_event_message_names_the_client(
    request_of: type[e.CheckRequested | e.WarmRequested | e.PauseRequested], text: str
) -> None:
    (transition,) = driver_in(S.COLD).apply(request_of("alice"))
    assert sentence(transition.message) == text
    assert entry_of(transition, "default", transition.message).by == "alice"
    (without,) = driver_in(S.COLD).apply(request_of())
    assert entry_of(without, "default", without.message).by is None


# Reachability.


def test_reachability_changes_at_fall_and_rise_thresholds() -> None:
    driver = MachineDriver()
    assert dests(driver, MISS, MISS) == []
    assert dests(driver, MISS) == [S.UNREACHABLE]
    assert "3 times" in sentence(driver.server.message)
    assert dests(driver, e.Answering()) == []
    assert dests(driver, MISS, e.Answering()) == []
    assert dests(driver, e.Answering()) == [S.UNKNOWN]


@pytest.mark.parametrize("state", [S.CHECKING, S.COLD, S.AUTO_EXECUTING, S.SUBMITTING, S.WARMING])
def test_answer_resets_consecutive_failures(state: State) -> None:
    driver = driver_in(state)
    assert dests(driver, MISS, MISS, e.Answering(), MISS, MISS) == []


def test_server_reachable_again_needs_all_failures_to_fall() -> None:
    driver = driver_in(S.UNREACHABLE)
    driver.apply(e.Answering(), e.Answering())
    assert dests(driver, MISS, MISS) == []
    assert dests(driver, MISS) == [S.UNREACHABLE]


def test_reconnect_during_attempt_is_remembered() -> None:
    driver = MachineDriver()
    driver.apply(e.LinkOpened("c1", refused_before=True))
    driver.check("k1")
    driver.warm()
    assert not driver.server.was_away_during(driver.attempt)
    driver.apply(e.LinkLost(verbatim("closed")), e.LinkOpened("c2", refused_before=True))
    assert driver.server.was_away_during(driver.attempt)


def test_server_during_outage_is_not_declared_unreachable() -> None:
    driver = driver_in(S.WARMING)
    assert dests(driver, *[e.NotAnswering(verbatim("timed out"), held=True)] * 9) == []
    assert dests(driver, MISS) == [S.UNREACHABLE]


def test_auto_executing_rounds_in_a_row_are_counted() -> None:
    driver = driver_in(S.AUTO_EXECUTING)
    driver.apply(e.QueueDrained(), driver.answer("k1", auto=True))
    assert driver.server.auto_rounds == 2
    driver.apply(e.QueueDrained(), driver.answer("k1"))
    assert driver.server.auto_rounds == 0


# Messages.


def test_auto_executing_message_names_missing_keys() -> None:
    driver = driver_in(S.CHECKING)
    driver.apply(driver.answer("k1", "k2", auto=True))
    assert (
        sentence(driver.server.message) == "missing k1, k2; the server is loading it by itself, so nothing is submitted"
    )


def test_check_message_without_keys_names_workflow() -> None:
    driver = driver_in(S.CHECKING)
    driver.apply(e.CheckAnswered("history", (), ("smoke",), auto_executing=False, epoch=driver.server.epoch))
    assert sentence(driver.server.message) == "history check: missing smoke"


def test_refusal_message_is_server_text() -> None:
    driver = driver_in(S.SUBMITTING)
    (one,) = driver.apply(e.PromptRefused(R.PROMPT_REFUSED, verbatim("the server refused the workflow: no outputs")))
    assert sentence(one.message) == "the server refused the workflow: no outputs"
    assert one.prompt_id == OURS
