"""What depends on more than one event: ends that come early, doubt, the cure, staleness, reachability."""

import pytest

from statemachine.core import events as e
from statemachine.core.messages import verbatim
from statemachine.core.server import Outcome
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from tests.core.bench import (
    FOREIGN,
    OURS,
    Bench,
    accepted,
    bench_in,
    failed,
    interrupted,
    queue,
    submission,
    succeeded,
)

S, R = State, Reason
MISS = e.NotAnswering(verbatim("timed out"))


def dests(bench: Bench, *happened: e.Event) -> list[State]:
    return [one.dest for one in bench.apply(*happened)]


# A warm-up from cold to loaded.


def test_a_warm_up_ends_in_loaded_only_by_a_check() -> None:
    bench = bench_in(S.COLD)
    bench.apply(submission(), accepted(), e.PromptCached(OURS, ()), e.PromptNodeStarted(OURS, "10"))
    bench.apply(e.PromptProgress(OURS, 2.0))
    assert bench.attempt.progress == 0.5
    assert dests(bench, succeeded()) == [S.CHECKING]
    assert (bench.attempt.outcome, bench.attempt.confirmed_by) == (Outcome.SUCCEEDED, Source.WS)
    assert bench.attempt.progress == 1.0
    assert dests(bench, bench.answer()) == [S.LOADED]
    assert bench.server.missing == ()


def test_transitions_of_a_warm_up_name_its_prompt_and_others_do_not() -> None:
    bench = bench_in(S.COLD)
    made = bench.apply(submission(), accepted(), succeeded())
    made += bench.apply(bench.answer())
    assert [one.prompt_id for one in made] == [OURS, OURS, OURS, None]


def test_progress_counts_cached_nodes_and_never_falls() -> None:
    bench = bench_in(S.WARMING)
    bench.apply(e.PromptCached(OURS, ("10", "11")))
    assert bench.attempt.progress == 0.5
    bench.apply(e.PromptProgress(OURS, 1.0), e.PromptProgress(OURS, 0.2), e.PromptNodeStarted(OURS, "21"))
    assert bench.attempt.progress == 0.75
    bench.apply(e.PromptProgress(OURS, 99.0))
    assert bench.attempt.progress == 1.0


# Frames that overtake the answer to our POST.


@pytest.mark.parametrize(
    ("early", "dest", "outcome"),
    [
        (succeeded(), S.CHECKING, Outcome.SUCCEEDED),
        (failed(), S.FAILED, Outcome.FAILED),
        (interrupted(), S.UNKNOWN, Outcome.INTERRUPTED),
    ],
)
def test_an_end_that_overtakes_the_answer_counts_once_the_answer_is_there(
    early: e.PromptEnd, dest: State, outcome: Outcome
) -> None:
    bench = bench_in(S.SUBMITTING)
    assert not bench.apply(early)
    assert bench.attempt.is_open
    assert dests(bench, accepted()) == [S.WARMING, dest]
    assert bench.attempt.outcome is outcome


def test_an_early_success_of_a_half_refused_prompt_is_no_success_and_yet_settles_it() -> None:
    bench = bench_in(S.SUBMITTING)
    bench.apply(succeeded(), e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True))
    assert bench.server.open_attempt is None
    assert S.LOADED not in dests(bench, e.CheckStarted())


def test_what_is_early_counts_even_where_the_answer_never_came() -> None:
    bench = bench_in(S.SUBMITTING)
    bench.apply(succeeded(), e.SubmissionUnanswered(verbatim("timed out"), answered=False))
    assert bench.state is S.SUBMITTING
    assert dests(bench, succeeded(proved_by=Source.HISTORY)) == [S.CHECKING]


def test_an_end_under_the_id_that_the_server_gave_is_ours() -> None:
    bench = bench_in(S.SUBMITTING)
    bench.apply(accepted(OURS, "theirs"))
    assert not bench.apply(succeeded(FOREIGN))
    assert dests(bench, succeeded("theirs")) == [S.CHECKING]


# Doubt: what is open is settled before anything else.


@pytest.mark.parametrize("by", [e.PauseRequested(), e.PromptStuck(verbatim("no progress")), MISS])
def test_an_open_attempt_leaves_unknown_only_through_doubt(by: e.Event) -> None:
    bench = bench_in(S.WARMING)
    bench.apply(*[by] * 3)
    bench.apply(e.ResumeRequested(), e.RetryDue(), e.Answering(), e.Answering())
    assert bench.state is S.UNKNOWN
    (one,) = bench.apply(e.SubmissionUncertain())
    assert (one.dest, one.reason, one.prompt_id) == (S.SUBMITTING, R.PROMPT_IN_DOUBT, OURS)
    assert dests(bench, accepted()) == [S.WARMING]


def test_a_prompt_in_doubt_that_is_absent_is_lost_and_the_next_one_is_new() -> None:
    bench = bench_in(S.SUBMITTING)
    bench.apply(
        e.SubmissionUnanswered(verbatim("timed out"), answered=False), e.PromptAbsent(R.PROMPT_LOST, verbatim("gone"))
    )
    assert bench.attempt.outcome is Outcome.LOST
    assert bench.server.failures == 1
    bench.check("k1")
    assert dests(bench, submission("next")) == [S.SUBMITTING]


def test_a_refusal_that_still_runs_keeps_the_attempt_open() -> None:
    bench = bench_in(S.SUBMITTING)
    bench.apply(e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True))
    assert (bench.state, bench.attempt.is_open) == (S.FAILED, True)
    bench.apply(e.RetryDue())
    assert dests(bench, e.SubmissionUncertain()) == [S.SUBMITTING]


def test_a_withheld_submission_is_no_attempt_in_flight() -> None:
    bench = bench_in(S.SUBMITTING)
    bench.apply(e.SubmissionWithheld(verbatim("disk full")))
    assert (bench.state, bench.attempt.outcome) == (S.COLD, Outcome.WITHHELD)
    assert dests(bench, submission("next")) == [S.SUBMITTING]


def test_a_closed_attempt_is_never_opened_again() -> None:
    bench = bench_in(S.WARMING)
    bench.apply(failed(), e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True), accepted())
    assert bench.attempt.outcome is Outcome.FAILED


# Ids that are not ours.


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
def test_a_foreign_prompt_changes_nothing(state: State, event: e.Event) -> None:
    bench = bench_in(state)
    before = (bench.attempt.outcome, bench.attempt.progress, bench.attempt.cached_nodes, bench.attempt.early_end)
    assert not bench.apply(event)
    assert before == (
        bench.attempt.outcome,
        bench.attempt.progress,
        bench.attempt.cached_nodes,
        bench.attempt.early_end,
    )


def test_a_foreign_success_does_not_wake_a_failed_server() -> None:
    bench = bench_in(S.WARMING)
    bench.apply(failed())
    assert not bench.apply(succeeded(FOREIGN), succeeded(FOREIGN, Source.HISTORY), succeeded())
    assert bench.state is S.FAILED


def test_a_stuck_prompt_that_succeeds_after_all_is_worth_a_check() -> None:
    bench = bench_in(S.WARMING)
    bench.apply(e.PromptStuck(verbatim("no progress")))
    assert dests(bench, succeeded(FOREIGN)) == []
    assert dests(bench, succeeded()) == [S.UNKNOWN]


def test_what_comes_late_does_not_rewrite_a_finished_attempt() -> None:
    bench = bench_in(S.WARMING)
    bench.apply(succeeded(), e.PromptCached(OURS, ("20", "21")))
    assert bench.attempt.cached_nodes == ()


# Failures.


def test_out_of_memory_is_told_apart() -> None:
    bench = bench_in(S.WARMING)
    (one,) = bench.apply(failed(memory=True))
    assert (one.dest, one.reason, sentence(one.message)) == (S.FAILED, R.OUT_OF_MEMORY, "node 10 raised")
    assert bench.attempt.outcome is Outcome.FAILED
    assert bench.server.failures == 1


@pytest.mark.parametrize("setback", [failed(), interrupted(), e.PromptAbsent(R.PROMPT_LOST, verbatim("gone"))])
def test_every_fruitless_attempt_lengthens_the_backoff_until_everything_is_cached(setback: e.Event) -> None:
    bench = bench_in(S.WARMING)
    bench.apply(setback)
    assert bench.server.failures == 1
    bench.apply(e.CheckRequested())
    bench.check()
    assert bench.server.failures == 0


def test_a_warm_request_forgets_what_failed_before() -> None:
    bench = bench_in(S.WARMING)
    bench.apply(failed(), e.WarmRequested())
    assert bench.server.failures == 0


# The executor's own cache: the trap and its cure.


def trap(bench: Bench, prompt_id: str, *, varied_tag: bool = False, workflow: str = "cache_models") -> None:
    """A warm-up that succeeds without running its cache nodes."""
    bench.warm(prompt_id, varied_tag=varied_tag, workflow=workflow)
    bench.apply(e.PromptCached(prompt_id, ("10", "20", "11", "21")), succeeded(prompt_id))


def test_a_cached_success_that_brings_no_keys_is_cured_once_by_another_tag() -> None:
    bench = bench_in(S.COLD)
    trap(bench, "p1")
    (one,) = bench.apply(bench.answer("k1"))
    assert (one.dest, one.reason) == (S.COLD, R.CACHED_WITHOUT_LOADING)
    assert bench.server.cached_by_executor
    bench.warm("p2", varied_tag=True)
    assert not bench.server.cached_by_executor
    bench.apply(e.PromptCached("p2", ("10", "11")), succeeded("p2"))
    assert dests(bench, bench.answer()) == [S.LOADED]
    assert not bench.server.cached_by_executor


def test_the_cure_is_tried_once_and_then_it_has_failed() -> None:
    bench = bench_in(S.COLD)
    trap(bench, "p1")
    bench.apply(bench.answer("k1"))
    trap(bench, "p2", varied_tag=True)
    (one,) = bench.apply(bench.answer("k1"))
    assert (one.dest, one.reason) == (S.FAILED, R.CACHED_WITHOUT_LOADING)


def test_the_cure_may_be_tried_again_after_the_long_backoff() -> None:
    bench = bench_in(S.COLD)
    trap(bench, "p1")
    bench.apply(bench.answer("k1"))
    trap(bench, "p2", varied_tag=True)
    bench.apply(bench.answer("k1"), e.RetryDue())
    bench.check("k1")
    trap(bench, "p3")
    assert dests(bench, bench.answer("k1")) == [S.COLD]


def test_the_cure_of_one_workflow_is_not_that_of_another() -> None:
    bench = Bench()
    bench.check("k1", needed=("a", "b"))
    trap(bench, "p1", workflow="a")
    bench.apply(bench.answer("k1", "kb", needed=("a", "b")))
    bench.warm("p2", varied_tag=True, workflow="a")
    bench.apply(succeeded("p2"), bench.answer("k2", needed=("b",)))
    assert bench.state is S.COLD
    trap(bench, "p3", workflow="b")
    (one,) = bench.apply(bench.answer("k2", needed=("b",)))
    assert (one.dest, one.reason) == (S.COLD, R.CACHED_WITHOUT_LOADING)


def test_cached_nodes_without_missing_keys_are_no_trap() -> None:
    bench = bench_in(S.COLD)
    bench.warm()
    bench.apply(e.PromptCached(OURS, ("20",)), succeeded())
    (one,) = bench.apply(bench.answer("k2"))
    assert one.reason is R.STILL_COLD_AFTER_SUCCESS


def test_history_tells_the_cached_nodes_to_a_watcher_who_missed_the_frame() -> None:
    bench = bench_in(S.WARMING)
    bench.apply(e.PromptSucceeded(OURS, Source.HISTORY, ("20", "21")))
    (one,) = bench.apply(bench.answer("k1"))
    assert one.reason is R.CACHED_WITHOUT_LOADING


# Still cold after a success that ran.


def test_still_cold_once_may_be_an_eviction_and_twice_is_a_fault() -> None:
    bench = bench_in(S.COLD)
    bench.warm("p1")
    bench.apply(succeeded("p1"))
    (one,) = bench.apply(bench.answer("k1"))
    assert (one.dest, one.reason) == (S.COLD, R.STILL_COLD_AFTER_SUCCESS)
    bench.warm("p2")
    bench.apply(succeeded("p2"))
    (one,) = bench.apply(bench.answer("k1"))
    assert (one.dest, one.reason) == (S.FAILED, R.STILL_COLD_AFTER_SUCCESS)


def test_asking_again_makes_no_second_fruitless_attempt_of_one() -> None:
    bench = bench_in(S.COLD)
    bench.warm()
    bench.apply(succeeded(), bench.answer("k1"))
    bench.apply(bench.answer("k1"), bench.answer("k1"))
    assert bench.server.failures == 1
    bench.apply(e.LinkLost(verbatim("closed")), e.LinkOpened("c2", refused_before=False))
    bench.check("k1")
    assert bench.state is S.COLD


def test_checks_that_are_not_understood_are_no_fruitless_attempts() -> None:
    bench = Bench()
    for _ in range(3):
        bench.apply(e.CheckStarted(), e.CheckUnusable(R.CHECK_UNRECOGNISED, verbatim("?")))
    bench.check("k1")
    bench.warm()
    bench.apply(succeeded(), bench.answer("k1"))
    assert bench.state is S.COLD


def test_another_workflow_that_is_needed_is_not_still_cold() -> None:
    bench = Bench()
    bench.check("k1", "x", needed=("a", "b"))
    bench.warm(workflow="a")
    bench.apply(succeeded())
    (one,) = bench.apply(bench.answer("x", needed=("b",)))
    assert (one.dest, one.reason) == (S.COLD, R.KEYS_MISSING)


# Evidence of change makes an answer stale.


@pytest.mark.parametrize(
    "evidence",
    [
        [e.LinkLost(verbatim("closed"))],
        [e.LinkLost(verbatim("closed")), e.LinkOpened("c2", refused_before=False)],
        [queue(2), queue(1)],
        [e.CheckRequested()],
        [e.WarmRequested()],
    ],
)
def test_a_good_answer_that_was_overtaken_by_evidence_is_not_believed(evidence: list[e.Event]) -> None:
    bench = Bench()
    bench.apply(e.LinkOpened("c1", refused_before=False), e.CheckStarted())
    answer = bench.answer()
    bench.apply(*evidence)
    assert not bench.apply(answer)
    assert bench.state is S.CHECKING
    assert dests(bench, bench.answer()) == [S.LOADED]


def test_a_stale_answer_that_loads_by_itself_is_believed() -> None:
    """Asking again would start the server's workflow a second time."""
    bench = bench_in(S.CHECKING)
    answer = bench.answer("k1", auto=True)
    bench.apply(queue(2), queue(1))
    assert dests(bench, answer) == [S.AUTO_EXECUTING]
    assert bench.server.missing == ("k1",)


def test_the_fall_of_the_queue_by_our_own_end_is_no_foreign_work() -> None:
    bench = bench_in(S.WARMING)
    bench.apply(queue(1), succeeded())
    answer = bench.answer()
    assert not bench.apply(queue(0))
    assert dests(bench, answer) == [S.LOADED]


def test_a_fall_beyond_our_own_is_foreign_work() -> None:
    bench = bench_in(S.WARMING)
    bench.apply(queue(3), succeeded(), queue(2))
    answer = bench.answer()
    bench.apply(queue(1))
    assert not bench.apply(answer)


def test_a_fall_beyond_our_own_counts_also_after_an_early_end() -> None:
    bench = bench_in(S.SUBMITTING)
    bench.apply(queue(2), succeeded(), queue(1), accepted())
    assert bench.state is S.CHECKING
    answer = bench.answer()
    bench.apply(queue(0))
    assert not bench.apply(answer)


def test_the_first_word_about_the_queue_of_a_new_link_is_no_fall() -> None:
    bench = Bench()
    bench.apply(e.LinkOpened("c1", refused_before=False), queue(5), e.LinkLost(verbatim("closed")))
    bench.apply(e.LinkOpened("c2", refused_before=False), e.CheckStarted())
    answer = bench.answer()
    bench.apply(queue(1))
    assert dests(bench, answer) == [S.LOADED]


def test_a_loaded_server_stays_loaded_while_checks_agree_and_its_queue_grows() -> None:
    bench = bench_in(S.LOADED)
    assert not bench.apply(queue(0), queue(1), bench.answer(), queue(4), bench.answer())


def test_a_prompt_that_is_lost_makes_answers_stale() -> None:
    bench = bench_in(S.WARMING)
    answer = bench.answer()
    bench.apply(e.PromptAbsent(R.SERVER_RESTARTED, verbatim("gone")), e.CheckStarted())
    assert not bench.apply(answer)


# Reachability.


def test_three_failures_in_a_row_make_it_unreachable_and_two_answers_bring_it_back() -> None:
    bench = Bench()
    assert dests(bench, MISS, MISS) == []
    assert dests(bench, MISS) == [S.UNREACHABLE]
    assert "3 times" in sentence(bench.server.message)
    assert dests(bench, e.Answering()) == []
    assert dests(bench, MISS, e.Answering()) == []
    assert dests(bench, e.Answering()) == [S.UNKNOWN]


@pytest.mark.parametrize("state", [S.CHECKING, S.COLD, S.AUTO_EXECUTING, S.SUBMITTING, S.WARMING])
def test_failures_with_an_answer_between_are_not_in_a_row(state: State) -> None:
    bench = bench_in(state)
    assert dests(bench, MISS, MISS, e.Answering(), MISS, MISS) == []


def test_it_falls_again_only_after_as_many_failures() -> None:
    bench = bench_in(S.UNREACHABLE)
    bench.apply(e.Answering(), e.Answering())
    assert dests(bench, MISS, MISS) == []
    assert dests(bench, MISS) == [S.UNREACHABLE]


def test_a_server_that_was_away_during_the_attempt_is_known_to_have_been() -> None:
    bench = Bench()
    bench.apply(e.LinkOpened("c1", refused_before=True))
    bench.check("k1")
    bench.warm()
    assert not bench.server.was_away_during(bench.attempt)
    bench.apply(e.LinkLost(verbatim("closed")), e.LinkOpened("c2", refused_before=True))
    assert bench.server.was_away_during(bench.attempt)


def test_while_most_of_the_fleet_is_silent_no_server_is_declared_unreachable() -> None:
    bench = bench_in(S.WARMING)
    assert dests(bench, *[e.NotAnswering(verbatim("timed out"), held=True)] * 9) == []
    assert dests(bench, MISS) == [S.UNREACHABLE]


def test_rounds_of_loading_by_itself_are_counted_in_a_row() -> None:
    bench = bench_in(S.AUTO_EXECUTING)
    bench.apply(e.QueueDrained(), bench.answer("k1", auto=True))
    assert bench.server.auto_rounds == 2
    bench.apply(e.QueueDrained(), bench.answer("k1"))
    assert bench.server.auto_rounds == 0


# What is said to people.


def test_sentences_name_what_is_missing_and_why_nothing_is_done() -> None:
    bench = bench_in(S.CHECKING)
    bench.apply(bench.answer("k1", "k2", auto=True))
    assert (
        sentence(bench.server.message) == "missing k1, k2; the server is loading it by itself, so nothing is submitted"
    )


def test_sentences_name_the_needed_workflow_where_no_key_is_known() -> None:
    bench = bench_in(S.CHECKING)
    bench.apply(e.CheckAnswered("history", (), ("smoke",), auto_executing=False, epoch=bench.server.epoch))
    assert sentence(bench.server.message) == "history check: missing smoke"


def test_a_refusal_says_what_the_server_said() -> None:
    bench = bench_in(S.SUBMITTING)
    (one,) = bench.apply(e.PromptRefused(R.PROMPT_REFUSED, verbatim("the server refused the workflow: no outputs")))
    assert sentence(one.message) == "the server refused the workflow: no outputs"
    assert one.prompt_id == OURS
