"""The duty of a cold server: to wait until it may be submitted to, and then to choose the prompt_id.

Users' work comes first, then the budgets; nothing is sent here.
"""

import asyncio
from enum import Enum, auto
from types import MappingProxyType

from statemachine.comfyui.errors import AccessDeniedError, ComfyError, NotAnsweringError
from statemachine.comfyui.preflight import fitness
from statemachine.comfyui.records import QueueItem
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events
from statemachine.core.backoff import backoff
from statemachine.core.vocabulary import IN_FLIGHT, Reason
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import Desk

LINK_WAIT_S = 5.0
"""How long a submission waits for /ws, so that the server's own frames can confirm it; then it goes without."""


class Wait(Enum):
    """How the wait for an idle queue ended. What has drained may have brought the keys, so a check comes first."""

    NONE = auto()
    DRAINED = auto()
    OVERDUE = auto()


async def admit(desk: Desk) -> None:
    """Wait for the backoff, an idle queue and a permit; then the prompt_id is chosen and the submission starts."""
    try:
        await _back_off(desk)
        while True:
            if await _try_to_start(desk):
                return
            await asyncio.sleep(desk.shared.settings.timing.retry_s)
    finally:
        if desk.server.state not in IN_FLIGHT:
            desk.shared.permits.release(desk.config.name)


async def _back_off(desk: Desk) -> None:
    timing = desk.shared.settings.timing
    if desk.server.setbacks:
        tries = desk.server.setbacks - 1
        await desk.sleep(backoff(tries, timing.retry_s, timing.failed_retry_s, desk.shared.world.uniform))


async def _try_to_start(desk: Desk) -> bool:
    """Whether an event was posted that ends the waiting. False: look again, nothing was decided."""
    try:
        event = await _decide(desk)
    except NotAnsweringError:
        event = None
    except ComfyError as error:
        reason = Reason.ACCESS_DENIED if isinstance(error, AccessDeniedError) else Reason.CHECK_UNRECOGNISED
        event = events.CheckUnusable(reason, f"before submitting: {error}")
    if event is None:
        desk.shared.permits.release(desk.config.name)
        return False
    desk.post(event)
    return True


async def _decide(desk: Desk) -> events.Event | None:
    """What follows for a cold server; None where it must wait: its queue filled again, or all submissions are held."""
    if desk.server.open_attempt is not None:
        return events.DoubtRaised()
    if desk.shared.herd.holds or not desk.shared.journal.healthy:
        return None
    workflow = desk.workflows[desk.server.needed[0]]
    if unfit := await _unfitness(desk, workflow):
        return unfit
    wait = await _wait_for_idle_queue(desk)
    if wait is Wait.DRAINED:
        return events.QueueDrained()
    await _wait_for_link(desk)
    await desk.shared.permits.acquire(desk.config.name, desk.config.host)
    items = await desk.client.queue()
    if found := _already_loading(items, workflow, desk.server.missing):
        return found
    return _submission(desk, workflow) if wait is Wait.OVERDUE or not items else None


async def _unfitness(desk: Desk, workflow: Workflow) -> events.WorkflowUnfit | None:
    """What the server lacks for the workflow. Asked once for each life of the server, before the first submission."""
    companion = desk.server.companion
    life = (companion.instance if companion is not None else None, workflow.digest)
    if life in desk.fit:
        return None
    lacking = await fitness(desk.client, workflow)
    if lacking.fits:
        desk.fit |= {life}
        return None
    reason = Reason.MISSING_NODES if lacking.missing_nodes else Reason.MISSING_MODELS
    return events.WorkflowUnfit(reason, f"workflow {workflow.name}: " + "; ".join(lacking.sentences))


async def _wait_for_idle_queue(desk: Desk) -> Wait:
    """Users' work comes first, up to `busy_wait_s` since the server was found cold."""
    timing = desk.shared.settings.timing
    if desk.cold_since is None:
        desk.cold_since = loop_time()
    waited = False
    while await desk.client.queue_remaining() > 0:
        left = desk.cold_since + timing.busy_wait_s - loop_time()
        if left <= 0:
            return Wait.OVERDUE
        waited = True
        desk.announce(desk.shared.world.now() + left)
        await desk.rest(min(left, timing.auto_recheck_s))
    return Wait.DRAINED if waited else Wait.NONE


async def _wait_for_link(desk: Desk) -> None:
    until = loop_time() + LINK_WAIT_S
    while desk.server.client_id is None and loop_time() < until:
        await desk.rest(until - loop_time())


def _already_loading(
    items: tuple[QueueItem, ...], workflow: Workflow, missing: tuple[str, ...]
) -> events.LoadingFound | None:
    """Somebody (the server itself, a user, another daemon) has queued what would bring the keys back."""
    for item in items:
        same = item.marker is not None and item.marker.workflow == workflow.name
        if same or not item.cache_keys.isdisjoint(missing):
            message = f"prompt {item.prompt_id}, not ours, is already loading what is missing; nothing is submitted"
            return events.LoadingFound(message)
    return None


def _submission(desk: Desk, workflow: Workflow) -> events.SubmissionStarted:
    return events.SubmissionStarted(
        workflow=workflow.name,
        prompt_id=desk.shared.world.new_id(),
        client_id=desk.server.client_id,
        varied_tag=desk.server.trapped,
        total_nodes=len(workflow.graph),
        cache_nodes=MappingProxyType({node.node_id: node.key for node in workflow.cache_nodes}),
    )
