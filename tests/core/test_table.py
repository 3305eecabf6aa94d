"""Every state against everything that can happen: where it leads, and that nothing else leads anywhere."""

from collections.abc import Callable, Sequence

import pytest

from statemachine.core import events as e
from statemachine.core.duties import DUTIES, Duty
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from tests.core.bench import Bench, accepted, bench_in, cache_frame, failed, interrupted, queue, submission, succeeded

S, R, W = State, Reason, Source
Happening = Callable[[Bench], Sequence[e.Event]]
MISS, ANSWER = e.NotAnswering(verbatim("timed out")), e.Answering()

HAPPENINGS: dict[str, Happening] = {
    "check started": lambda _: [e.CheckStarted()],
    "all cached": lambda b: [b.answer()],
    "missing": lambda b: [b.answer("k1")],
    "loads itself": lambda b: [b.answer("k1", auto=True)],
    "stale all cached": lambda b: [b.answer(age=1)],
    "stale loads itself": lambda b: [b.answer("k1", auto=True, age=1)],
    "unrecognised": lambda _: [e.CheckUnusable(R.CHECK_UNRECOGNISED, verbatim("?"))],
    "check absent": lambda _: [e.CheckUnusable(R.CHECK_ABSENT, verbatim("404"))],
    "denied": lambda _: [e.CheckUnusable(R.ACCESS_DENIED, verbatim("401"))],
    "two misses": lambda _: [MISS, MISS],
    "three misses": lambda _: [MISS, MISS, MISS],
    "one answer": lambda _: [ANSWER],
    "two answers": lambda _: [ANSWER, ANSWER],
    "link opened": lambda _: [e.LinkOpened("c1", refused_before=False)],
    "link opened again": lambda _: [e.LinkOpened(name, refused_before=False) for name in ("c1", "c2")],
    "restarted": lambda _: [e.LinkOpened("c2", refused_before=True)],
    "link lost": lambda _: [e.LinkLost(verbatim("closed"))],
    "queue rose": lambda _: [queue(0), queue(2)],
    "queue fell": lambda _: [queue(2), queue(1)],
    "queue ran dry": lambda _: [queue(1), queue(0)],
    "queue empty": lambda _: [queue(0), queue(0)],
    "keys gone": lambda _: [cache_frame("k1", sequence=6)],
    "keys there": lambda _: [cache_frame("k1", "k2", "k3", sequence=6)],
    "another life": lambda _: [cache_frame("k1", "k2", sequence=1, instance="i2")],
    "queue drained": lambda _: [e.QueueDrained()],
    "loading found": lambda _: [e.ForeignLoadDetected(verbatim("prompt x"))],
    "unfit": lambda _: [e.PreflightFailed(R.MISSING_MODELS, verbatim("no such file"))],
    "withheld": lambda _: [e.SubmissionWithheld(verbatim("disk full"))],
    "unanswered": lambda _: [e.SubmissionUnanswered(verbatim("timed out"), answered=False)],
    "doubt": lambda _: [e.SubmissionUncertain()],
    "accepted": lambda _: [accepted()],
    "refused": lambda _: [e.PromptRefused(R.PROMPT_REFUSED, verbatim("no"))],
    "partly refused": lambda _: [e.PromptRefused(R.PROMPT_REFUSED, verbatim("a part"), still_runs=True)],
    "cached": lambda _: [e.PromptCached("ours", ("10",))],
    "node started": lambda _: [e.PromptNodeStarted("ours", "10")],
    "progress": lambda _: [e.PromptProgress("ours", 1.5)],
    "succeeded by ws": lambda _: [succeeded()],
    "succeeded by history": lambda _: [succeeded(proved_by=W.HISTORY)],
    "failed by ws": lambda _: [failed()],
    "failed by history": lambda _: [failed(proved_by=W.HISTORY)],
    "out of memory by ws": lambda _: [failed(memory=True)],
    "out of memory by history": lambda _: [failed(proved_by=W.HISTORY, memory=True)],
    "interrupted by ws": lambda _: [interrupted()],
    "interrupted by history": lambda _: [interrupted(proved_by=W.HISTORY)],
    "lost": lambda _: [e.PromptAbsent(R.PROMPT_LOST, verbatim("gone"))],
    "lost by restart": lambda _: [e.PromptAbsent(R.SERVER_RESTARTED, verbatim("gone"))],
    "stuck": lambda _: [e.PromptStuck(verbatim("no progress"))],
    "retry due": lambda _: [e.RetryDue()],
    "check requested": lambda _: [e.CheckRequested()],
    "warm requested": lambda _: [e.WarmRequested()],
    "paused": lambda _: [e.PauseRequested()],
    "resumed": lambda _: [e.ResumeRequested()],
    "settings changed": lambda _: [e.SettingsChanged()],
}

Leads = dict[str, tuple[State, Reason, Source]]

UNREACHABLE: Leads = {"three misses": (S.UNREACHABLE, R.NOT_ANSWERING, W.PROBE)}
PAUSE: Leads = {"paused": (S.PAUSED, R.PAUSE_REQUESTED, W.OPERATOR)}
RESTARTED: Leads = {"restarted": (S.UNKNOWN, R.SERVER_RESTARTED, W.LINK)}
OPERATOR: Leads = {
    "check requested": (S.UNKNOWN, R.CHECK_REQUESTED, W.OPERATOR),
    "warm requested": (S.UNKNOWN, R.WARM_REQUESTED, W.OPERATOR),
}
CHANGED: Leads = {"settings changed": (S.UNKNOWN, R.SETTINGS_CHANGED, W.DAEMON)}
USELESS_CHECK: Leads = {
    "unrecognised": (S.UNKNOWN, R.CHECK_UNRECOGNISED, W.CHECK),
    "check absent": (S.FAILED, R.CHECK_ABSENT, W.CHECK),
    "denied": (S.FAILED, R.ACCESS_DENIED, W.CHECK),
}
LOADED: Leads = {"all cached": (S.LOADED, R.ALL_CACHED, W.CHECK)}
COLD: Leads = {"missing": (S.COLD, R.KEYS_MISSING, W.CHECK)}
AUTO: Leads = {
    "loads itself": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.CHECK),
    "stale loads itself": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.CHECK),
}
ENDS_BY_HISTORY: Leads = {
    "succeeded by history": (S.CHECKING, R.PROMPT_SUCCEEDED, W.HISTORY),
    "failed by history": (S.FAILED, R.PROMPT_FAILED, W.HISTORY),
    "out of memory by history": (S.FAILED, R.OUT_OF_MEMORY, W.HISTORY),
    "interrupted by history": (S.UNKNOWN, R.PROMPT_INTERRUPTED, W.HISTORY),
    "lost": (S.UNKNOWN, R.PROMPT_LOST, W.HISTORY),
    "lost by restart": (S.UNKNOWN, R.SERVER_RESTARTED, W.HISTORY),
    "stuck": (S.FAILED, R.QUEUE_STUCK, W.QUEUE),
}

LEADS: dict[State, Leads] = {
    S.UNKNOWN: {
        **UNREACHABLE,
        **PAUSE,
        "check started": (S.CHECKING, R.CHECK_STARTED, W.DAEMON),
        "loading found": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.QUEUE),
        "unfit": (S.FAILED, R.MISSING_MODELS, W.PREFLIGHT),
    },
    S.CHECKING: {**UNREACHABLE, **CHANGED, **PAUSE, **USELESS_CHECK, **LOADED, **COLD, **AUTO},
    S.LOADED: {
        **UNREACHABLE,
        **CHANGED,
        **PAUSE,
        **USELESS_CHECK,
        **COLD,
        **AUTO,
        **RESTARTED,
        **OPERATOR,
        "link opened again": (S.UNKNOWN, R.LINK_RESTORED, W.LINK),
        "link lost": (S.UNKNOWN, R.LINK_LOST, W.LINK),
        "queue fell": (S.UNKNOWN, R.FOREIGN_WORK_FINISHED, W.WS),
        "queue ran dry": (S.UNKNOWN, R.FOREIGN_WORK_FINISHED, W.WS),
    },
    S.COLD: {
        **UNREACHABLE,
        **CHANGED,
        **PAUSE,
        **USELESS_CHECK,
        **LOADED,
        **AUTO,
        **RESTARTED,
        **OPERATOR,
        "link opened again": (S.UNKNOWN, R.LINK_RESTORED, W.LINK),
        "queue drained": (S.CHECKING, R.FOREIGN_WORK_FINISHED, W.QUEUE),
        "loading found": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.QUEUE),
        "unfit": (S.FAILED, R.MISSING_MODELS, W.PREFLIGHT),
    },
    S.AUTO_EXECUTING: {
        **UNREACHABLE,
        **CHANGED,
        **PAUSE,
        **RESTARTED,
        **USELESS_CHECK,
        "stuck": (S.FAILED, R.QUEUE_STUCK, W.QUEUE),
        "queue drained": (S.CHECKING, R.FOREIGN_WORK_FINISHED, W.QUEUE),
    },
    S.SUBMITTING: {
        **UNREACHABLE,
        **CHANGED,
        **PAUSE,
        **ENDS_BY_HISTORY,
        "withheld": (S.COLD, R.JOURNAL_UNAVAILABLE, W.DAEMON),
        "accepted": (S.WARMING, R.PROMPT_ACCEPTED, W.REPLY),
        "refused": (S.FAILED, R.PROMPT_REFUSED, W.REPLY),
        "partly refused": (S.FAILED, R.PROMPT_REFUSED, W.REPLY),
    },
    S.WARMING: {
        **UNREACHABLE,
        **CHANGED,
        **PAUSE,
        **ENDS_BY_HISTORY,
        "succeeded by ws": (S.CHECKING, R.PROMPT_SUCCEEDED, W.WS),
        "failed by ws": (S.FAILED, R.PROMPT_FAILED, W.WS),
        "out of memory by ws": (S.FAILED, R.OUT_OF_MEMORY, W.WS),
        "interrupted by ws": (S.UNKNOWN, R.PROMPT_INTERRUPTED, W.WS),
    },
    S.UNREACHABLE: {**CHANGED, **PAUSE, "two answers": (S.UNKNOWN, R.ANSWERING_AGAIN, W.PROBE)},
    S.FAILED: {
        **UNREACHABLE,
        **CHANGED,
        **PAUSE,
        **RESTARTED,
        **OPERATOR,
        "retry due": (S.UNKNOWN, R.RETRY_DUE, W.DAEMON),
    },
    S.PAUSED: {"resumed": (S.UNKNOWN, R.RESUME_REQUESTED, W.OPERATOR)},
}

PAIRS = [(state, name) for state in State for name in HAPPENINGS]


@pytest.mark.parametrize(("state", "name"), PAIRS, ids=[f"{state.value}-{name}" for state, name in PAIRS])
def test_what_happens_leads_where_the_design_says_and_nowhere_else(state: State, name: str) -> None:
    bench = bench_in(state)
    made = bench.apply(*HAPPENINGS[name](bench))
    lead = LEADS[state].get(name)
    assert [(one.dest, one.reason, one.proved_by) for one in made] == ([lead] if lead else [])
    assert bench.state is (lead[0] if lead else state)
    if lead:
        (one,) = made
        assert (one.server, one.source, one.at) == ("a:8188", state, bench.now)
        assert one.message
        assert (bench.server.since, bench.server.reason, bench.server.proved_by) == (one.at, one.reason, one.proved_by)
        assert bench.server.message == one.message


@pytest.mark.parametrize("state", State)
def test_a_submission_starts_only_where_the_server_is_cold(state: State) -> None:
    bench = bench_in(state)
    before = bench.server.attempt
    made = bench.apply(submission("another"))
    if state is State.COLD:
        assert [(one.dest, one.reason, one.proved_by) for one in made] == [(S.SUBMITTING, R.PERMIT_GRANTED, W.QUEUE)]
        assert bench.attempt.prompt_id == "another"
    else:
        assert not made
        assert bench.server.attempt is before


def test_every_lead_of_this_page_is_a_known_happening() -> None:
    assert {name for leads in LEADS.values() for name in leads} <= set(HAPPENINGS)


def test_every_duty_belongs_to_a_state() -> None:
    assert set(DUTIES) == set(State)
    assert {duty for duties in DUTIES.values() for duty in duties} == set(Duty)


def test_every_state_but_paused_has_something_that_leads_out_of_it() -> None:
    assert [state for state in State if not DUTIES[state]] == [State.PAUSED]


@pytest.mark.parametrize("state", [state for state in State if state is not State.COLD])
def test_nothing_waits_for_a_permit_but_a_cold_server(state: State) -> None:
    assert Duty.WAIT_FOR_SLOT not in DUTIES[state]


@pytest.mark.parametrize("duty", [Duty.CHECK, Duty.RECHECK, Duty.PREPARE])
def test_a_server_that_loads_by_itself_is_not_asked_the_check(duty: Duty) -> None:
    assert duty not in DUTIES[State.AUTO_EXECUTING]


DESIGN_REASONS = {
    "keys_missing", "server_auto_executing", "prompt_accepted", "prompt_refused", "missing_nodes", "missing_models",
    "workflow_not_api_format", "prompt_succeeded", "prompt_failed", "out_of_memory", "prompt_interrupted",
    "prompt_lost", "cached_without_loading", "still_cold_after_success", "check_absent", "check_unrecognised",
    "access_denied", "server_restarted", "foreign_work_finished", "queue_stuck", "link_lost", "not_answering",
    "answering_again",
}  # fmt: skip


def test_the_promised_words_are_there() -> None:
    assert {reason.value for reason in Reason} >= DESIGN_REASONS
    assert {proved_by.value for proved_by in Source} >= {"ws", "history", "queue", "check", "operator"}
    assert {state.value for state in State} == {
        "unknown", "checking", "loaded", "cold", "auto_executing", "submitting", "warming", "unreachable", "failed",
        "paused",
    }  # fmt: skip
