"""Every state with every event: the transitions expected, and no others."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from statemachine.core import events as e
from statemachine.core import machine
from statemachine.core.duties import DUTIES, Duty
from statemachine.core.messages import verbatim
from statemachine.core.server import Server
from statemachine.core.streak import GIVE_UP_REASONS
from statemachine.core.table import TABLE, Guard
from statemachine.core.vocabulary import Reason, Source, State
from tests.core.builders import (
    MachineDriver,
    accepted,
    cache_frame,
    driver_in,
    failed,
    interrupted,
    queue,
    submission,
    succeeded,
)

S, R, W = State, Reason, Source
Scenario = Callable[[MachineDriver], Sequence[e.Event]]
MISS, HIT = e.NotAnswering(verbatim("timed out")), e.Answering()

SCENARIOS: dict[str, Scenario] = {
    "check started": lambda _: [e.CheckStarted()],
    "all cached": lambda b: [b.answer()],
    "missing": lambda b: [b.answer("k1")],
    "auto executing": lambda b: [b.answer("k1", auto=True)],
    "stale all cached": lambda b: [b.answer(age=1)],
    "stale auto executing": lambda b: [b.answer("k1", auto=True, age=1)],
    "unrecognised": lambda _: [e.CheckUnusable(R.CHECK_UNRECOGNISED, verbatim("?"))],
    "check absent": lambda _: [e.CheckUnusable(R.CHECK_ABSENT, verbatim("404"))],
    "access denied": lambda _: [e.CheckUnusable(R.ACCESS_DENIED, verbatim("401"))],
    "rate limited": lambda _: [e.CheckUnusable(R.RATE_LIMITED, verbatim("429"))],
    "two misses": lambda _: [MISS, MISS],
    "three misses": lambda _: [MISS, MISS, MISS],
    "one answer": lambda _: [HIT],
    "two answers": lambda _: [HIT, HIT],
    "link opened": lambda _: [e.LinkOpened("c1", refused_before=False)],
    "link opened again": lambda _: [e.LinkOpened(name, refused_before=False) for name in ("c1", "c2")],
    "restarted": lambda _: [e.LinkOpened("c2", refused_before=True)],
    "link lost": lambda _: [e.LinkLost(verbatim("closed"))],
    "queue rose": lambda _: [queue(0), queue(2)],
    "queue fell": lambda _: [queue(2), queue(1)],
    "queue emptied": lambda _: [queue(1), queue(0)],
    "queue empty": lambda _: [queue(0), queue(0)],
    "keys lost": lambda _: [cache_frame("k1", sequence=6)],
    "keys present": lambda _: [cache_frame("k1", "k2", "k3", sequence=6)],
    "other instance": lambda _: [cache_frame("k1", "k2", sequence=1, instance="i2")],
    "queue drained": lambda _: [e.QueueDrained()],
    "foreign load": lambda _: [e.ForeignLoadDetected(verbatim("prompt x"))],
    "preflight failed": lambda _: [e.PreflightFailed(R.MISSING_MODELS, verbatim("no such file"))],
    "delayed": lambda _: [e.SubmissionDelayed(R.QUEUE_UNANSWERED, verbatim("no answer"))],
    "withheld": lambda _: [e.SubmissionWithheld(verbatim("disk full"))],
    "unanswered": lambda _: [e.SubmissionUnanswered(verbatim("timed out"), answered=False)],
    "limited": lambda _: [e.SubmissionLimited(verbatim("429"))],
    "uncertain": lambda _: [e.SubmissionUncertain()],
    "accepted": lambda _: [accepted()],
    "refused": lambda _: [e.PromptRefused(R.PROMPT_REFUSED, verbatim("no"))],
    "refused by the rate": lambda _: [e.PromptRefused(R.RATE_LIMITED, verbatim("429"))],
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

Expected = dict[str, tuple[State, Reason, Source]]

UNREACHABLE: Expected = {"three misses": (S.UNREACHABLE, R.NOT_ANSWERING, W.PROBE)}
PAUSE: Expected = {"paused": (S.PAUSED, R.PAUSE_REQUESTED, W.OPERATOR)}
RESTARTED: Expected = {"restarted": (S.UNKNOWN, R.SERVER_RESTARTED, W.LINK)}
OPERATOR: Expected = {
    "check requested": (S.UNKNOWN, R.CHECK_REQUESTED, W.OPERATOR),
    "warm requested": (S.UNKNOWN, R.WARM_REQUESTED, W.OPERATOR),
}
CHANGED: Expected = {"settings changed": (S.UNKNOWN, R.SETTINGS_CHANGED, W.DAEMON)}
USELESS_CHECK: Expected = {
    "unrecognised": (S.UNKNOWN, R.CHECK_UNRECOGNISED, W.CHECK),
    "check absent": (S.FAILED, R.CHECK_ABSENT, W.CHECK),
    "access denied": (S.FAILED, R.ACCESS_DENIED, W.CHECK),
    "rate limited": (S.UNKNOWN, R.RATE_LIMITED, W.CHECK),
}
LOADED: Expected = {"all cached": (S.LOADED, R.ALL_CACHED, W.CHECK)}
COLD: Expected = {"missing": (S.COLD, R.KEYS_MISSING, W.CHECK)}
AUTO: Expected = {
    "auto executing": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.CHECK),
    "stale auto executing": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.CHECK),
}
ENDS_BY_HISTORY: Expected = {
    "succeeded by history": (S.CHECKING, R.PROMPT_SUCCEEDED, W.HISTORY),
    "failed by history": (S.FAILED, R.PROMPT_FAILED, W.HISTORY),
    "out of memory by history": (S.FAILED, R.OUT_OF_MEMORY, W.HISTORY),
    "interrupted by history": (S.UNKNOWN, R.PROMPT_INTERRUPTED, W.HISTORY),
    "lost": (S.UNKNOWN, R.PROMPT_LOST, W.HISTORY),
    "lost by restart": (S.UNKNOWN, R.SERVER_RESTARTED, W.HISTORY),
    "stuck": (S.FAILED, R.QUEUE_STUCK, W.QUEUE),
}

EXPECTED: dict[State, Expected] = {
    S.UNKNOWN: {
        **UNREACHABLE,
        **PAUSE,
        "check started": (S.CHECKING, R.CHECK_STARTED, W.DAEMON),
        "foreign load": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.QUEUE),
        "preflight failed": (S.FAILED, R.MISSING_MODELS, W.PREFLIGHT),
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
        "queue emptied": (S.UNKNOWN, R.FOREIGN_WORK_FINISHED, W.WS),
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
        "foreign load": (S.AUTO_EXECUTING, R.SERVER_AUTO_EXECUTING, W.QUEUE),
        "preflight failed": (S.FAILED, R.MISSING_MODELS, W.PREFLIGHT),
        "delayed": (S.COLD, R.QUEUE_UNANSWERED, W.QUEUE),
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
        "limited": (S.UNKNOWN, R.RATE_LIMITED, W.REPLY),
        "refused by the rate": (S.UNKNOWN, R.RATE_LIMITED, W.REPLY),
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

PAIRS = [(state, name) for state in State for name in SCENARIOS]


@pytest.mark.parametrize(("state", "name"), PAIRS, ids=[f"{state.value}-{name}" for state, name in PAIRS])
def test_event_in_state_makes_only_documented_transition(state: State, name: str) -> None:
    driver = driver_in(state)
    since = driver.server.since
    transitions = driver.apply(*SCENARIOS[name](driver))
    expected = EXPECTED[state].get(name)
    assert [(one.dest, one.reason, one.proved_by) for one in transitions] == ([expected] if expected else [])
    assert driver.state is (expected[0] if expected else state)
    if expected:
        (one,) = transitions
        assert (one.server, one.source, one.at) == ("a:8188", state, driver.now)
        assert one.message
        assert (driver.server.since, driver.server.reason, driver.server.proved_by) == (
            since if one.dest is state else one.at,
            one.reason,
            one.proved_by,
        )
        assert driver.server.message == one.message


def test_delay_of_submission_is_published_once_per_cause() -> None:
    driver = driver_in(State.COLD)
    first, second = (e.SubmissionDelayed(R.QUEUE_UNANSWERED, verbatim(cause)) for cause in ("/queue", "/object_info"))
    earlier = e.SubmissionDelayed(driver.server.reason, driver.server.message)
    published = [bool(driver.apply(event)) for event in (first, first, second, second, first, earlier, earlier)]
    assert published == [True, False, True, False, True, True, False]
    assert (driver.server.reason, driver.server.message) == (earlier.reason, earlier.message)


@pytest.mark.parametrize("state", State)
def test_submission_starts_only_from_cold(state: State) -> None:
    driver = driver_in(state)
    before = driver.server.attempt
    transitions = driver.apply(submission("another"))
    if state is State.COLD:
        assert [(one.dest, one.reason, one.proved_by) for one in transitions] == [
            (S.SUBMITTING, R.PERMIT_GRANTED, W.QUEUE)
        ]
        assert driver.attempt.prompt_id == "another"
    else:
        assert not transitions
        assert driver.server.attempt is before


def test_expected_transitions_name_known_scenarios() -> None:
    assert {name for expected in EXPECTED.values() for name in expected} <= set(SCENARIOS)


def test_duties_cover_every_state_and_duty() -> None:
    assert set(DUTIES) == set(State)
    assert {duty for duties in DUTIES.values() for duty in duties} == set(Duty)


def test_only_paused_state_has_no_duty() -> None:
    assert [state for state in State if not DUTIES[state]] == [State.PAUSED]


@pytest.mark.parametrize("state", [state for state in State if state is not State.COLD])
def test_server_not_cold_does_not_wait_for_permit(state: State) -> None:
    assert Duty.WAIT_FOR_SLOT not in DUTIES[state]


@pytest.mark.parametrize("duty", [Duty.CHECK, Duty.RECHECK, Duty.PREPARE])
def test_auto_executing_server_is_not_checked(duty: Duty) -> None:
    assert duty not in DUTIES[State.AUTO_EXECUTING]


PUBLIC_REASONS = {
    "keys_missing", "server_auto_executing", "prompt_accepted", "prompt_refused", "missing_nodes", "missing_models",
    "workflow_not_api_format", "prompt_succeeded", "prompt_failed", "out_of_memory", "prompt_interrupted",
    "prompt_lost", "cached_without_loading", "still_cold_after_success", "check_absent", "check_unrecognised",
    "access_denied", "rate_limited", "server_restarted", "foreign_work_finished", "queue_stuck", "link_lost",
    "not_answering", "answering_again",
}  # fmt: skip


def test_public_vocabulary_is_complete() -> None:
    assert {reason.value for reason in Reason} >= PUBLIC_REASONS
    assert {proved_by.value for proved_by in Source} >= {"ws", "history", "queue", "check", "operator"}
    assert {state.value for state in State} == {
        "unknown", "checking", "loaded", "cold", "auto_executing", "submitting", "warming", "unreachable", "failed",
        "paused",
    }  # fmt: skip


CHECK_GUARDS = (
    "everything_cached",
    "loads_by_itself",
    *["gave_up_warming"] * len(GIVE_UP_REASONS),
    "not_run_again",
    "not_run",
    "still_cold_again",
    "still_cold",
    "contested",
    "something_missing",
)
"""The guards of an answered check in `checking`, in the order of the table."""


@pytest.mark.parametrize(
    ("name", "evaluated"),
    [("all cached", CHECK_GUARDS[:1]), ("auto executing", CHECK_GUARDS[:2]), ("missing", CHECK_GUARDS)],
)
def test_guards_are_evaluated_once_up_to_first_that_holds(
    name: str, evaluated: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(guard: Guard) -> Guard:
        def call(server: Server, event: e.Event) -> bool:
            calls.append(guard.__name__)
            return guard(server, event)

        return call

    table = tuple(replace(row, guard=row.guard and counted(row.guard)) for row in TABLE)
    twins = dict(zip(TABLE, table, strict=True))
    rows = {
        event: {state: tuple(twins[row] for row in of_state) for state, of_state in of_event.items()}
        for event, of_event in machine.ROWS.items()
    }
    driver = driver_in(S.CHECKING)
    monkeypatch.setattr(machine, "TABLE", table)
    monkeypatch.setattr(machine, "ROWS", rows)
    (event,) = SCENARIOS[name](driver)
    machine.Machine().apply(driver.server, event, driver.now)
    assert tuple(calls) == evaluated
