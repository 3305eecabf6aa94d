"""The task of a cold server: wait until a warm-up may be submitted, then choose its prompt_id.

Users' work comes first, then the permits. Nothing is sent here.
"""

from enum import Enum, auto
from types import MappingProxyType

from statemachine.comfyui.errors import AbsentError, ComfyError
from statemachine.comfyui.load_nodes import load_node_count
from statemachine.comfyui.preflight import run_preflight
from statemachine.comfyui.records import QueueItem
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events
from statemachine.core.backoff import backoff
from statemachine.core.levels import Level
from statemachine.core.messages import Message, joined, message
from statemachine.core.server import Server
from statemachine.core.vocabulary import IN_FLIGHT, Reason
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.fleet.obstacle import DelayError, Obstacle, asking

LINK_WAIT_S = 5.0
"""How long a submission waits for /ws, whose frames can confirm it, before it is sent without."""


class Wait(Enum):
    """How the wait for an idle queue ended. Prompts that ended may have cached the keys, so a check comes first."""

    NONE = auto()
    DRAINED = auto()
    OVERDUE = auto()


async def wait_for_slot(context: ServerContext) -> None:
    """Wait for backoff, preflight, an idle queue and a permit; then choose the prompt_id and start the submission."""
    obstacle = Obstacle(context)
    try:
        await _wait_backoff(context)
        context.waits(message("wait.idle_queue"))
        while True:
            if await _try_to_start(context, obstacle):
                return
            await context.sleep(_what_holds_it(context), context.fleet.settings.timing.retry_s)
    finally:
        if context.server.state not in IN_FLIGHT:
            context.fleet.permits.release(context.config.name)


async def _wait_backoff(context: ServerContext) -> None:
    """Wait for the backoff after failures and rate limits, and for the pause after repeated losses."""
    server, clock, timing = context.server, context.fleet.clock, context.fleet.settings.timing
    pauses: list[tuple[float, str]] = []
    if server.failures:
        after_failure = backoff(server.failures - 1, timing.retry_s, timing.failed_retry_s, clock.uniform)
        pauses.append((after_failure, "wait.after_failures"))
    if server.limited_posts:
        after_limit = backoff(server.limited_posts - 1, timing.retry_s, timing.failed_retry_s, clock.uniform)
        pauses.append((after_limit - (loop_time() - context.limited_at), "wait.rate_limit"))
    if server.contention.is_contested:
        pauses.append((context.contention_left_s, "wait.contested"))
    pause_s, code = max(pauses, default=(0.0, ""))
    if pause_s > 0.0:
        await context.sleep(message(code), pause_s)


def _what_holds_it(context: ServerContext) -> Message:
    """Return what keeps a cold server from its next attempt."""
    if not context.fleet.journal.healthy:
        return message("wait.journal")
    return message("wait.outage" if context.fleet.outage.holds else "wait.attempt")


async def _try_to_start(context: ServerContext, obstacle: Obstacle) -> bool:
    """Post the event that ends the wait, if there is one; return whether there was."""
    event: events.Event | None = None
    try:
        event = await _decide(context, obstacle)
    except DelayError as error:
        obstacle.met(error.message)
    except ComfyError as error:
        reason = Reason.CHECK_UNRECOGNISED if isinstance(error, AbsentError) else error.reason
        event = events.CheckUnusable(reason, message("before_submitting", error=error.message))
    if event is None:
        context.fleet.permits.release(context.config.name)
        return False
    context.post(event)
    return True


async def _decide(context: ServerContext, obstacle: Obstacle) -> events.Event | None:
    """Return what follows for a cold server; None if its queue filled again or submissions are held.

    The queue is read before the wait for a permit, so that a queue that does not answer holds none, and after it.
    """
    if context.server.open_attempt is not None:
        return events.SubmissionUncertain()
    if _are_held(context, obstacle):
        return None
    workflow = context.workflows[context.server.needed[0]]
    with asking("/object_info"):
        if failed := await _failed_preflight(context, workflow):
            return failed
    with asking("/prompt"):
        wait = await _wait_for_idle_queue(context)
    if wait is Wait.DRAINED:
        return events.QueueDrained()
    event = await _look_at_queue(context, workflow, wait)
    obstacle.passed()
    if not isinstance(event, events.SubmissionStarted):
        return event
    await _wait_for_link(context)
    config = context.config
    with context.fleet.permit_line.joined(context):
        await context.fleet.permits.acquire(config.name, config.host, config.group)
    return await _look_at_queue(context, workflow, wait)


def _are_held(context: ServerContext, obstacle: Obstacle) -> bool:
    """Return whether submissions are held at the moment."""
    if not context.fleet.journal.healthy:
        obstacle.journal_met()
        return True
    return context.fleet.outage.holds


async def _look_at_queue(context: ServerContext, workflow: Workflow, wait: Wait) -> events.Event | None:
    """Return what a complete list of the queue allows: a submission, or none while a prompt loads what is missing."""
    with asking("/queue"):
        queue = await context.client.queue()
        if found := _already_loading(queue.items, workflow, context.server):
            return found
        queue.raise_if_incomplete()
    return _submission(context, workflow) if wait is Wait.OVERDUE or not queue.items else None


async def _failed_preflight(context: ServerContext, workflow: Workflow) -> events.PreflightFailed | None:
    """Return what the server lacks for the workflow; asked once for each process of the server."""
    cursor = context.server.node_cursor
    process = (cursor.instance if cursor is not None else None, workflow.digest)
    if process in context.preflight_passed:
        return None
    links = context.server.links
    preflight = await run_preflight(context.client, workflow)
    if preflight.passed:
        if links == context.server.links:
            context.preflight_passed |= {process}
        return None
    reason = Reason.MISSING_NODES if preflight.missing_nodes else Reason.MISSING_MODELS
    return events.PreflightFailed(
        reason, message("workflow_unfit", workflow=workflow.name, problems=joined(preflight.messages))
    )


async def _wait_for_idle_queue(context: ServerContext) -> Wait:
    """Wait for an idle queue, at most `busy_wait_s` from the time the server became cold."""
    if context.cold_since is None:
        context.cold_since = loop_time()
    waited = False
    while await context.client.queue_remaining() > 0:
        timing = context.fleet.settings.timing
        left = context.cold_since + timing.busy_wait_s - loop_time()
        if left <= 0:
            return Wait.OVERDUE
        if not waited:
            context.waits(message("wait.busy_queue"), left, at_most=True)
        waited = True
        await context.wait(min(left, timing.auto_recheck_s))
    return Wait.DRAINED if waited else Wait.NONE


async def _wait_for_link(context: ServerContext) -> None:
    until = loop_time() + LINK_WAIT_S
    if context.server.client_id is None:
        context.waits(message("wait.link"), LINK_WAIT_S, at_most=True)
    while context.server.client_id is None and loop_time() < until:
        await context.wait(until - loop_time())


def _already_loading(
    items: tuple[QueueItem, ...], workflow: Workflow, server: Server
) -> events.ForeignLoadDetected | None:
    """Return an event if the server, a user or another daemon has queued a prompt that caches the keys.

    It may be a lost prompt of ours that the server has restored.
    """
    for item in items:
        same = item.marker is not None and item.marker.workflow == workflow.name
        if same or not item.cache_keys.isdisjoint(server.missing):
            ours = server.attempt is not None and item.is_of(server.attempt)
            code = "own_prompt_back" if ours else "foreign_prompt_loading"
            return events.ForeignLoadDetected(Message(code, {"prompt_id": item.prompt_id}))
    return None


def loads_models(server: Server, workflow: Workflow) -> bool:
    """Return whether the warm-up must bring models into memory, and the server's companion node can do that."""
    return workflow.warm > Level.KEY and server.places is not None


def _submission(context: ServerContext, workflow: Workflow) -> events.SubmissionStarted:
    added = load_node_count(workflow) if loads_models(context.server, workflow) else 0
    return events.SubmissionStarted(
        workflow=workflow.name,
        prompt_id=context.fleet.clock.new_id(),
        client_id=context.server.client_id,
        varied_tag=context.server.cached_by_executor,
        total_nodes=len(workflow.graph) + added,
        cache_nodes=MappingProxyType({node.node_id: node.key for node in workflow.cache_nodes}),
    )
