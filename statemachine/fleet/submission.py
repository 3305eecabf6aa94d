"""The tasks of a prompt in flight: submit it once, and track it to a confirmed end."""

import asyncio

from statemachine.comfyui.errors import ComfyError, ConnectRefusedError, RateLimitedError
from statemachine.comfyui.load_nodes import with_load_nodes
from statemachine.comfyui.records import Marker
from statemachine.comfyui.workflow import with_varied_tag
from statemachine.core import events
from statemachine.core.messages import Message, message
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Reason
from statemachine.fleet.admission import loads_models
from statemachine.fleet.context import ServerContext
from statemachine.fleet.lookup import Lookup, receives_frames
from statemachine.fleet.patience import MOST_EXTENDED, Patience
from statemachine.journal.port import JournalUnavailableError

TRACK_S = 10.0
"""Pause between two lookups of our prompt while /ws delivers frames; without /ws it is `retry_s`."""


async def submit(context: ServerContext) -> None:
    """Record the attempt, post it, and report the answer. If it may have been posted already, only look it up."""
    attempt = context.server.open_attempt
    if attempt is None:
        return
    if context.server.reason is Reason.PERMIT_GRANTED and not attempt.posted and await _post_once(context, attempt):
        return
    await _resolve(context, attempt)


async def _post_once(context: ServerContext, attempt: Attempt) -> bool:
    """Post the attempt; return whether its result is known, or nothing was sent."""
    if not await _record(context, attempt):
        return True
    workflow = context.workflows[attempt.workflow]
    graph = with_varied_tag(workflow, attempt.prompt_id[:8]) if attempt.varied_tag else workflow.graph
    if loads_models(context.server, workflow):
        graph = with_load_nodes(graph, workflow, workflow.warm)
    marker = Marker(attempt.prompt_id, workflow.name, workflow.digest)
    context.detail.count("submissions")
    attempt.posted = True
    answer: events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered
    try:
        answer = await context.client.submit(
            graph, marker, attempt.client_id, front=_goes_in_front(context), extra_data=workflow.extra_data
        )
    except RateLimitedError as error:
        context.post(events.SubmissionLimited(message("post_failed", error=error.message)))
        return True
    except ComfyError as error:
        refused = isinstance(error, ConnectRefusedError)
        answer = events.SubmissionUnanswered(
            message("post_failed", error=error.message), answered=False, refused=refused
        )
    if isinstance(answer, events.PromptRefused) and answer.still_runs:
        context.check.exclude(attempt.prompt_id)
    context.post(answer)
    return not isinstance(answer, events.SubmissionUnanswered)


async def _record(context: ServerContext, attempt: Attempt) -> bool:
    """Commit the attempt; return whether it may be posted, else report that it is withheld."""
    try:
        await context.fleet.journal.append_durably(attempt)
    except JournalUnavailableError as error:
        context.post(events.SubmissionWithheld(message("nothing_submitted", cause=error.message)))
        return False
    if not context.fleet.ownership.may_submit(context.config.name):
        context.post(events.SubmissionWithheld(message("other_daemon_may_own")))
        return False
    return True


def _goes_in_front(context: ServerContext) -> bool:
    return context.fleet.settings.when_busy_too_long == "front" and bool(context.server.queue_remaining)


async def _resolve(context: ServerContext, attempt: Attempt) -> None:
    """Look the prompt up until it is found or has been absent for the grace period, or its time is over.

    A server may accept a POST seconds after the client gave up, so one lookup confirms nothing. An absence that is
    being confirmed is decided within its grace period.
    """
    lookup, doubt = Lookup(context, attempt), context.doubt_about(attempt)
    with context.patience_with(attempt).running(), doubt.running():
        context.waits(message("wait.lookup"), doubt.left_s(_warm_timeout_s(context)), at_most=True)
        while (result := await lookup.look()) is None:
            if lookup.absent_since is None and doubt.is_over(_warm_timeout_s(context)):
                context.give_up(events.PromptStuck(message("fate_unknown", cause=lookup.trouble)))
                return
            await asyncio.sleep(lookup.pause_s)
        context.end_doubt()
        context.post(result)


async def track(context: ServerContext) -> None:
    """Look our prompt up, slowly or when a frame hints at its end; give up when it is stuck."""
    attempt = context.server.open_attempt
    if attempt is None:
        return
    lookup, patience = Lookup(context, attempt), context.patience_with(attempt)
    with patience.running():
        while attempt.is_open:
            context.waits(message("wait.warm_up"), patience.left_s(_warm_timeout_s(context)), at_most=True)
            await _wait_to_look(context, lookup)
            await _look_while_warming(context, lookup)
            if lookup.absent_since is None and patience.is_over(_warm_timeout_s(context)):
                stuck = await _stuck(context, attempt, patience)
                if patience.is_over(_warm_timeout_s(context)):
                    context.give_up(stuck)
                    return


def _warm_timeout_s(context: ServerContext) -> float:
    """Return the time limit, which a reload may change during a warm-up."""
    return context.fleet.settings.timing.warm_timeout_s


async def _wait_to_look(context: ServerContext, lookup: Lookup) -> None:
    """Wait for a hint or for the pause between lookups, which is short while the prompt is absent."""
    if lookup.absent_since is not None:
        await asyncio.sleep(lookup.pause_s)
        return
    timing = context.fleet.settings.timing
    is_followed = receives_frames(context, lookup.attempt) and not context.server.consecutive_failures
    await context.wait(min(TRACK_S, timing.warm_timeout_s) if is_followed else timing.retry_s)


async def _look_while_warming(context: ServerContext, lookup: Lookup) -> None:
    """Report an end or a loss; a prompt that is still queued needs no event unless it has another id now."""
    result = await lookup.look()
    if result is None:
        return
    if isinstance(result, events.PromptAccepted) and result.server_prompt_id == lookup.attempt.server_prompt_id:
        return
    if isinstance(result, events.PromptEnd) and receives_frames(context, lookup.attempt):
        _note_missed_end(context)
    context.post(result)


def _note_missed_end(context: ServerContext) -> None:
    """Record that an open connection did not deliver the end: a client that does not read can stall all others."""
    context.detail.count("ends_unheard")
    context.note_trouble(message("end_not_sent"))


async def _stuck(context: ServerContext, attempt: Attempt, patience: Patience) -> events.PromptStuck:
    """Return the event with its cause: a node that hangs, foreign work that does not end, or a queue that stands."""
    waited_s = _warm_timeout_s(context)
    if patience.is_used_up(waited_s):
        return events.PromptStuck(message("never_ends", seconds=MOST_EXTENDED * waited_s))
    return events.PromptStuck(message("no_progress", seconds=waited_s, cause=await _why_stuck(context, attempt)))


async def _why_stuck(context: ServerContext, attempt: Attempt) -> Message:
    """Return what holds the prompt up. Only a list that has the prompt, or all prompts, shows that."""
    try:
        queue = await context.client.queue()
        if any(item.is_of(attempt) for item in queue.running):
            return message("stuck_running")
        if not any(item.is_of(attempt) for item in queue.pending):
            queue.raise_if_incomplete()
    except ComfyError as error:
        return message("stuck_unreadable", cause=error.message)
    return message("stuck_behind" if queue.running else "stuck_idle")
