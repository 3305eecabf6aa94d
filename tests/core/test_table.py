"""Every state with every event: the transitions expected, and no others."""

from dataclasses import replace

import pytest

from statemachine.core import events as e
from statemachine.core import machine
from statemachine.core.duties import DUTIES, Duty
from statemachine.core.messages import verbatim
from statemachine.core.repetition import GIVE_UP_REASONS
from statemachine.core.server import Server
from statemachine.core.table import TABLE, Guard
from statemachine.core.vocabulary import Reason, Source, State
from tests.core.builders import (
    driver_in,
    submission,
)
from tests.core.transitions import EXPECTED, SCENARIOS

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
    first, second = (
        e.SubmissionDelayed(Reason.QUEUE_UNANSWERED, verbatim(cause)) for cause in ("/queue", "/object_info")
    )
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
            (State.SUBMITTING, Reason.PERMIT_GRANTED, Source.QUEUE)
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


def test_every_state_has_a_duty() -> None:
    assert [state for state in State if not DUTIES[state]] == []


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
        "paused", "draining", "restarting",
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
    driver = driver_in(State.CHECKING)
    monkeypatch.setattr(machine, "TABLE", table)
    monkeypatch.setattr(machine, "ROWS", rows)
    (event,) = SCENARIOS[name](driver)
    machine.Machine().apply(driver.server, event, driver.now)
    assert tuple(calls) == evaluated
