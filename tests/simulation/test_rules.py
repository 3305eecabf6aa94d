"""The rules of the simulation themselves: what a reply shows of the daemon's prompt, and how many warm-ups fit."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from campaigns.simulation.lasting_rules import LastingRules
from campaigns.simulation.ledger import ServerLedger
from campaigns.simulation.plans import BOTH, PAGING, Plan
from campaigns.simulation.replies import read_reply
from campaigns.simulation.rules import most_when_contested
from campaigns.simulation.wire import Wire
from statemachine.comfyui.transport import Reply
from statemachine.core.log_entry import Transition
from statemachine.core.messages import NO_MESSAGE
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.settings import Settings
from statemachine.settings.model import Timing
from statemachine.simulator.profiles import PROFILES

OURS, THEIRS = "ours", "theirs"
PLAN = Plan("127.0.0.1", 8188, PROFILES["cold"], ("cache_models",), 0.0)


def ledger_of(prompt: str) -> ServerLedger:
    """Return the ledger of a server that chose the id of the daemon's prompt."""
    return ServerLedger(PLAN, cast(Wire, None), prompt=prompt, server_prompt=THEIRS)


def read_job(ledger: ServerLedger, **job: Any) -> None:
    body = json.dumps({"id": THEIRS, **job}).encode()
    read_reply(ledger, f"/api/jobs/{THEIRS}", Reply(200, body), genuine=True, ticket=1, tick=1)


@pytest.mark.parametrize("latest", [OURS, "a later one"])
def test_ended_job_confirms_prompt_under_the_daemons_id(latest: str) -> None:
    """A server that chose the id may have been updated since to a version with /api/jobs."""
    ledger = ledger_of(latest)
    marked = {"extra_data": {"comfywarm": {"attempt": OURS}}}
    status = {"messages": [["execution_start", {}], ["execution_success", {}]]}
    read_job(ledger, status="completed", execution_status=status, workflow=marked)
    assert ledger.confirmed == {OURS: {"success"}}


def test_queued_job_confirms_prompt_under_the_daemons_id() -> None:
    ledger = ledger_of(OURS)
    read_job(ledger, status="in_progress")
    assert ledger.confirmed == {OURS: {"accepted"}}


def moved(ledger: ServerLedger, dest: State, reason: Reason) -> None:
    ledger.note_round(Transition(PLAN.name, 0.0, ledger.state, dest, reason, Source.DAEMON, None, NO_MESSAGE))


WARMED_ONE = [(State.SUBMITTING, Reason.PERMIT_GRANTED), (State.COLD, Reason.KEYS_MISSING)]
WARMED_BOTH = [*WARMED_ONE, (State.SUBMITTING, Reason.PERMIT_GRANTED), (State.LOADED, Reason.ALL_CACHED)]


@pytest.mark.parametrize(
    ("before", "workflows", "most"),
    [
        (WARMED_ONE, BOTH, 3),
        (WARMED_BOTH, BOTH, 2),
        (WARMED_BOTH, BOTH[:1], 1),
        (WARMED_ONE, BOTH[:1], 1),
        ([(State.COLD, Reason.KEYS_MISSING)], BOTH, 2),
    ],
)
def test_calm_warm_ups_complete_the_round_before_and_one_more(
    before: list[tuple[State, Reason]], workflows: tuple[str, ...], most: int
) -> None:
    """Models that are lost in the middle of a round, just before the faults end, cause a round of their own."""
    plan = replace(PLAN, profile=PAGING, workflows=workflows)
    wire = SimpleNamespace(server=SimpleNamespace(losses=7, up=False, process=SimpleNamespace(companion=None)))
    ledger = ServerLedger(plan, cast(Wire, wire))
    for dest, reason in before:
        moved(ledger, dest, reason)
    ledger.calm_from(300.0, warm_ups=20)
    found: list[str] = []
    rules = LastingRules(
        Settings.model_validate({"servers": ["http://" + PLAN.name]}), lambda _, what: found.append(what)
    )
    rules.check_calm(ledger, 20 + most)
    assert not found
    rules.check_calm(ledger, 20 + most + 1)
    assert found == [f"oscillation: {most + 1} warm-ups after 0 losses"]


@pytest.mark.parametrize(("failed_retry_s", "most"), [(900, 12), (120, 17)])
def test_most_contested_warm_ups_follow_the_longest_pause(failed_retry_s: float, most: int) -> None:
    """Pauses of at least 1, 2, 4 and more seconds grow to half of the long backoff."""
    assert most_when_contested(Timing(failed_retry_s=failed_retry_s)) == most
