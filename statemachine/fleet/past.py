"""What an earlier run left: prompts in flight, and servers that the operator had paused."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from statemachine.core.attempt import Attempt
from statemachine.core.server import Server
from statemachine.core.vocabulary import Reason, State, Witness
from statemachine.fleet.desk import Desk
from statemachine.journal.journal import Journal, JournalUnavailableError
from statemachine.journal.store import JournalStore

LATE_PAUSE_S = 2.0


async def take_up_the_past(journal: Journal, desks: Mapping[str, Desk]) -> None:
    """Give each desk its open attempt and its pause; JournalUnavailableError where they cannot be read."""
    in_flight = await journal.read(JournalStore.open_attempts)
    last_states = await journal.read(JournalStore.last_states)
    for attempt in in_flight:
        if attempt.server in desks:
            _take_up(desks[attempt.server], attempt)
    for name, state in last_states.items():
        if name in desks:
            desks[name].known_before = True
            if state == State.PAUSED.value:
                _keep_paused(desks[name].server)


async def take_up_later(journal: Journal, desks: Mapping[str, Desk]) -> None:
    """Attempts only, as soon as they can be read: a server that has been watched for a while has its own state."""
    while True:
        await asyncio.sleep(LATE_PAUSE_S)
        with suppress(JournalUnavailableError):
            in_flight = await journal.read(JournalStore.open_attempts)
            break
    for attempt in in_flight:
        desk = desks.get(attempt.server)
        if desk is not None and desk.server.open_attempt is None:
            _take_up(desk, attempt)


def _take_up(desk: Desk, attempt: Attempt) -> None:
    """An attempt that the journal left open: its graph's figures come from the workflow, if that still exists."""
    workflow = desk.workflows.get(attempt.workflow)
    if workflow is not None:
        attempt.total_nodes = len(workflow.graph)
        attempt.cache_nodes = {node.node_id: node.key for node in workflow.cache_nodes}
    attempt.last_progress_at = desk.shared.world.now()
    desk.server.attempt = attempt


def _keep_paused(server: Server) -> None:
    server.state, server.reason, server.witness = State.PAUSED, Reason.PAUSE_REQUESTED, Witness.OPERATOR
    server.message = "paused by the operator before the daemon's last start"
