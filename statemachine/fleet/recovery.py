"""What whoever looked after a server before has left: a prompt in flight, or the operator's pause."""

import asyncio
from collections.abc import Mapping

from statemachine.core.attempt import Attempt
from statemachine.core.server import Server
from statemachine.core.vocabulary import Reason, State, Witness
from statemachine.fleet.context import Desk
from statemachine.journal.port import JournalPort, JournalUnavailableError, Past

LATE_PAUSE_S = 2.0


async def take_up_the_past(journal: JournalPort, desks: Mapping[str, Desk]) -> None:
    """Give each desk its open attempt and its pause; JournalUnavailableError where they cannot be read."""
    pasts = await journal.pasts(desks.keys())
    for name in desks.keys() & pasts.keys():
        desks[name].known_before = True
        _take_up(desks[name], pasts[name].attempt)
        if pasts[name].paused:
            _keep_paused(desks[name].server)


async def take_up_later(journal: JournalPort, desks: Mapping[str, Desk]) -> None:
    """Attempts only, as soon as they can be read: a server that has been watched for a while has its own state."""
    pasts: Mapping[str, Past] | None = None
    while pasts is None:
        await asyncio.sleep(LATE_PAUSE_S)
        try:
            pasts = await journal.pasts(desks.keys())
        except JournalUnavailableError:
            continue
    for name, desk in desks.items():
        if name in pasts and desk.server.open_attempt is None:
            _take_up(desk, pasts[name].attempt)


def _take_up(desk: Desk, attempt: Attempt | None) -> None:
    """An attempt that was left open: its graph's figures come from the workflow, if that still exists."""
    if attempt is None:
        return
    workflow = desk.workflows.get(attempt.workflow)
    if workflow is not None:
        attempt.total_nodes = len(workflow.graph)
        attempt.cache_nodes = {node.node_id: node.key for node in workflow.cache_nodes}
    attempt.last_progress_at = desk.shared.world.now()
    desk.server.attempt = attempt


def _keep_paused(server: Server) -> None:
    server.state, server.reason, server.witness = State.PAUSED, Reason.PAUSE_REQUESTED, Witness.OPERATOR
    server.message = "paused by the operator before the daemon's last start"
