"""The tasks of a prompt in flight: submit it once, and track it to a confirmed end."""

import asyncio
from dataclasses import dataclass

from statemachine.comfyui.errors import ComfyError
from statemachine.comfyui.records import Marker
from statemachine.comfyui.workflow import with_varied_tag
from statemachine.core import events
from statemachine.core.messages import Message, message
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Reason
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
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
    try:
        await context.fleet.journal.append_durably(attempt)
    except JournalUnavailableError as error:
        context.post(events.SubmissionWithheld(message("nothing_submitted", cause=error.message)))
        return True
    if not context.fleet.ownership.may_submit(context.config.name):
        context.post(events.SubmissionWithheld(message("other_daemon_may_own")))
        return True
    workflow = context.workflows[attempt.workflow]
    graph = with_varied_tag(workflow, attempt.prompt_id[:8]) if attempt.varied_tag else workflow.graph
    marker = Marker(attempt.prompt_id, workflow.name, workflow.digest)
    context.detail.count("submissions")
    attempt.posted = True
    answer: events.PromptAccepted | events.PromptRefused | events.SubmissionUnanswered
    try:
        answer = await context.client.submit(graph, marker, attempt.client_id, front=_goes_in_front(context))
    except ComfyError as error:
        answer = events.SubmissionUnanswered(message("post_failed", error=error.message), answered=False)
    if isinstance(answer, events.PromptRefused) and answer.still_runs:
        context.check.exclude(attempt.prompt_id)
    context.post(answer)
    return not isinstance(answer, events.SubmissionUnanswered)


def _goes_in_front(context: ServerContext) -> bool:
    return context.fleet.settings.when_busy_too_long == "front" and bool(context.server.queue_remaining)


async def _resolve(context: ServerContext, attempt: Attempt) -> None:
    """Look the prompt up until it is found or has been absent for the grace period.

    A server may accept a POST seconds after the client gave up, so one lookup confirms nothing.
    """
    grace = _Grace(0.0 if attempt.accepted_at is not None else context.fleet.settings.timing.lost_grace_s)
    deadline = loop_time() + context.fleet.settings.timing.warm_timeout_s
    while loop_time() < deadline:
        if await _look(context, attempt, grace):
            return
        await asyncio.sleep(max(0.2, min(context.fleet.settings.timing.retry_s, grace.seconds / 4)))
    context.post(events.PromptStuck(message("fate_unknown")))


@dataclass(slots=True)
class _Grace:
    """How long a prompt must be absent, and since when it is (loop time)."""

    seconds: float
    absent_since: float | None = None

    def is_over(self, look_began: float) -> bool:
        """Return whether absence is confirmed by a lookup that began at `look_began`, at least the second one.

        The beginning of a lookup counts: if its last answer is slow, its first one is old.
        """
        if self.absent_since is None:
            self.absent_since = loop_time()
            return False
        return look_began - self.absent_since >= self.seconds


async def _look(context: ServerContext, attempt: Attempt, grace: _Grace) -> bool:
    """Look the prompt up once and post the result; return whether there was one."""
    began = loop_time()
    try:
        found = await context.client.find_prompt(attempt)
    except ComfyError:
        grace.absent_since = None
        return False
    result = found if found is not None else await _confirmed_absence(context, attempt, grace, began)
    if result is None:
        return False
    context.post(result)
    return True


async def _confirmed_absence(
    context: ServerContext, attempt: Attempt, grace: _Grace, began: float
) -> events.PromptAbsent | events.PromptRefused | None:
    """Return the result of a lookup without a match; None if absence is not confirmed yet.

    An accepted prompt ended with its server's process. One that was not accepted may still be on its way.
    """
    restarted = await _has_restarted(context, attempt)
    certain = restarted and attempt.accepted_at is not None
    return _absence(context, attempt, restarted=restarted) if certain or grace.is_over(began) else None


async def _has_restarted(context: ServerContext, attempt: Attempt) -> bool:
    """Return whether the companion node reports another instance than when the attempt began."""
    if attempt.instance is None:
        return False
    try:
        return await context.check.instance() not in (None, attempt.instance)
    except ComfyError:
        return False


def _absence(
    context: ServerContext, attempt: Attempt, *, restarted: bool
) -> events.PromptAbsent | events.PromptRefused:
    if attempt.answered and attempt.accepted_at is None:
        return events.PromptRefused(Reason.PROMPT_REFUSED, attempt.message)
    if restarted or context.server.was_away_during(attempt):
        return events.PromptAbsent(Reason.SERVER_RESTARTED, message("away_without_prompt"))
    return events.PromptAbsent(Reason.PROMPT_LOST, message("prompt_absent"))


async def track(context: ServerContext) -> None:
    """Look our prompt up, slowly or when a frame hints at its end; give up when it is stuck."""
    timing = context.fleet.settings.timing
    moved, moved_at = 0.0, loop_time()
    while (attempt := context.server.open_attempt) is not None:
        await context.wait(
            TRACK_S
            if _receives_frames(context, attempt) and not context.server.consecutive_failures
            else timing.retry_s
        )
        if attempt.last_progress_at != moved:
            moved, moved_at = attempt.last_progress_at, loop_time()
        if loop_time() - moved_at > timing.warm_timeout_s:
            stuck = await _stuck(context, attempt)
            if attempt.last_progress_at == moved:
                context.post(stuck)
                return
        await _look_while_warming(context, attempt)


def _receives_frames(context: ServerContext, attempt: Attempt) -> bool:
    """Return whether the connection that receives the prompt's frames is still open."""
    return attempt.client_id is not None and attempt.client_id == context.server.client_id


def _note_missed_end(context: ServerContext) -> None:
    """Record that an open connection did not deliver the end: a client that does not read can stall all others."""
    context.detail.count("ends_unheard")
    context.note_trouble(message("end_not_sent"))


async def _stuck(context: ServerContext, attempt: Attempt) -> events.PromptStuck:
    """Return the event with its cause: a node that hangs, a worker that died, or foreign work that does not end."""
    waited_s = context.fleet.settings.timing.warm_timeout_s
    return events.PromptStuck(message("no_progress", seconds=waited_s, cause=await _why_stuck(context, attempt)))


async def _why_stuck(context: ServerContext, attempt: Attempt) -> Message:
    try:
        running = await context.client.running()
    except ComfyError:
        return message("stuck_unreadable")
    if attempt.server_prompt_id in running:
        return message("stuck_running")
    return message("stuck_behind" if running else "stuck_idle")


async def _look_while_warming(context: ServerContext, attempt: Attempt) -> None:
    """Confirm an end or a loss, the latter by two lookups in a row; a prompt that is still queued needs no event."""
    grace = _Grace(0.0)
    for _ in range(2):
        began = loop_time()
        try:
            found = await context.client.find_prompt(attempt)
        except ComfyError:
            return
        if isinstance(found, events.PromptAccepted):
            return
        result = found if found is not None else await _confirmed_absence(context, attempt, grace, began)
        if result is not None:
            if found is not None and _receives_frames(context, attempt):
                _note_missed_end(context)
            context.post(result)
            return
        await asyncio.sleep(0.2)
