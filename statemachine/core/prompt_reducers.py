"""How the events of our own prompts change a server's memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from statemachine.core import events
from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.core.server import Attempt, Outcome, Server
from statemachine.core.vocabulary import IN_FLIGHT, Reason, Source, State

Reducer = Callable[[Any, Server, float], None]
"""Apply an event, observed at a time (epoch seconds), to a server's memory."""


MOST_EARLY = 16
"""Kept events of unknown prompts. A server sends two about a warm-up, and the interrupts of other clients' prompts."""


def _submission_started(event: events.SubmissionStarted, server: Server, at: float) -> None:
    """Open an attempt, unless the server is not cold or already has one."""
    if server.state is not State.COLD or server.open_attempt is not None:
        return
    server.succeeded, server.foreign_work_ended = None, False
    server.contention = replace(server.contention, waiting=False)
    server.attempt = Attempt(
        server=server.name,
        workflow=event.workflow,
        prompt_id=event.prompt_id,
        server_prompt_id=event.prompt_id,
        client_id=event.client_id,
        created_at=at,
        varied_tag=event.varied_tag,
        total_nodes=event.total_nodes,
        cache_nodes=event.cache_nodes,
        last_progress_at=at,
        disconnect_count_before=server.disconnect_count,
        instance=server.node_cursor.instance if server.node_cursor is not None else None,
    )


def _submission_withheld(event: events.SubmissionWithheld, server: Server, at: float) -> None:
    server.failures += 1
    _close_attempt(server, Outcome.WITHHELD, at, None, event.message)


def _submission_unanswered(event: events.SubmissionUnanswered, server: Server, at: float) -> None:
    if event.answered:
        server.limited_posts = 0
    if server.attempt is not None:
        server.attempt.message, server.attempt.answered = event.message, event.answered
        server.attempt.unsent = event.refused


def _submission_limited(event: events.SubmissionLimited, server: Server, at: float) -> None:
    server.limited_posts += 1
    if server.open_attempt is not None:
        server.open_attempt.message, server.open_attempt.rate_limited = event.message, True


def _prompt_accepted(event: events.PromptAccepted, server: Server, at: float) -> None:
    attempt = server.attempt_about(event.prompt_id)
    if attempt is None:
        return
    server.limited_posts = 0
    attempt.outcome = Outcome.ACCEPTED
    attempt.server_prompt_id = event.server_prompt_id
    if attempt.accepted_at is None:
        attempt.accepted_at = attempt.last_progress_at = at


def _prompt_refused(event: events.PromptRefused, server: Server, at: float) -> None:
    """Count the refusal, also of a part: the end of the rest is then not counted."""
    server.failures += 1
    if event.reason is not Reason.RATE_LIMITED:
        server.limited_posts = 0
        server.streak = server.streak.extended(event.reason)
    attempt = server.open_attempt
    if event.still_runs and attempt is not None:
        attempt.outcome, attempt.message, attempt.partly_refused = Outcome.ACCEPTED, event.message, True
    else:
        _close_attempt(server, Outcome.REFUSED, at, Source.REPLY, event.message)


def _prompt_cached(event: events.PromptCached, server: Server, at: float) -> None:
    if attempt := server.attempt_about(event.prompt_id):
        attempt.cached_nodes = event.nodes
        attempt.advance(0, at)
    else:
        _keep_early(event, server)


def _prompt_node_started(event: events.PromptNodeStarted, server: Server, at: float) -> None:
    if attempt := server.attempt_about(event.prompt_id):
        attempt.start_node(event.node, at)


def _prompt_node_blocked(event: events.PromptNodeBlocked, server: Server, at: float) -> None:
    if attempt := server.attempt_about(event.prompt_id):
        attempt.block(event.blocked)
    else:
        _keep_early(event, server)


def _prompt_progress(event: events.PromptProgress, server: Server, at: float) -> None:
    if attempt := server.attempt_about(event.prompt_id):
        attempt.advance(event.done, at)


def _prompt_succeeded(event: events.PromptSucceeded, server: Server, at: float) -> None:
    """Note the success for the next check, unless a part was refused: what is missing then is no surprise."""
    attempt = server.attempt
    blocked = attempt.blocked_message if attempt is not None else NO_MESSAGE
    ended = _end_attempt(server, event, event.prompt_id, Outcome.SUCCEEDED, at, event.proved_by, blocked)
    if not ended or attempt is None:
        return
    if event.cached_nodes is not None:
        attempt.cached_nodes = event.cached_nodes
    attempt.progress = 1.0
    if not attempt.partly_refused:
        server.succeeded, server.foreign_work_ended = attempt, False
        before_s = server.contention.load_s if server.warmed_at else 0.0
        server.warmed_at = {**server.warmed_at, attempt.workflow: at}
        server.contention = server.contention.after_load(max(before_s, at - (attempt.accepted_at or at)))


def _prompt_failed(event: events.PromptFailed, server: Server, at: float) -> None:
    if _end_attempt(server, event, event.prompt_id, Outcome.FAILED, at, event.proved_by, event.message):
        server.failures += 1
        _count_end(server, Reason.OUT_OF_MEMORY if event.out_of_memory else Reason.PROMPT_FAILED)


def _prompt_interrupted(event: events.PromptInterrupted, server: Server, at: float) -> None:
    if _end_attempt(server, event, event.prompt_id, Outcome.INTERRUPTED, at, event.proved_by):
        server.failures += 1
        _count_end(server, Reason.PROMPT_INTERRUPTED)


def _prompt_absent(event: events.PromptAbsent, server: Server, at: float) -> None:
    """Count the loss. If the server restarted with the prompt and not by us, the prompt may have ended its process."""
    started = server.open_attempt is not None and server.open_attempt.may_have_started
    restarted = event.reason is Reason.SERVER_RESTARTED
    server.failures += 1
    if server.open_attempt is None or not server.open_attempt.ended_by_hook:
        _count_end(server, Reason.WARM_UP_ENDS_SERVER if restarted and started else Reason.PROMPT_LOST)
    server.epoch += 1
    _close_attempt(server, Outcome.LOST, at, Source.HISTORY, event.message)


def _count_end(server: Server, reason: Reason) -> None:
    """Count the failure of our prompt, unless the refusal of a part was counted: one warm-up counts once."""
    if server.attempt is None or not server.attempt.partly_refused:
        server.streak = server.streak.extended(reason)


def _prompt_stuck(event: events.PromptStuck, server: Server, at: float) -> None:
    """Let the prompt hold no permit, unless the server went away with the last look and nothing reports it as stuck."""
    if server.open_attempt is not None and server.state in IN_FLIGHT:
        server.open_attempt.stuck = True


def _end_attempt(
    server: Server,
    event: events.PromptEnd,
    prompt_id: str,
    outcome: Outcome,
    at: float,
    proved_by: Source,
    message: Message = NO_MESSAGE,
) -> bool:
    """Close the open attempt if the event is about it; return whether it was closed.

    A frame can overtake the answer to our POST. The answer may still say that a part was refused, so such an end is
    kept until the POST is answered.
    """
    attempt = server.attempt_about(prompt_id)
    if attempt is None:
        _keep_early(event, server)
        return False
    if proved_by is Source.WS:
        _expect_shorter_queue(server, attempt)
    if server.state is State.SUBMITTING and proved_by is Source.WS:
        attempt.early, attempt.early_queue = (*attempt.early, event), server.queue_remaining
        return False
    _close_attempt(server, outcome, at, proved_by, message)
    server.epoch += 1
    return True


def _keep_early(event: events.EarlyEvent, server: Server) -> None:
    """Keep an event of an unknown prompt until the POST is answered.

    Before 0.3.45 ComfyUI chooses the prompt's id, and its frames may overtake the answer that names it.
    """
    attempt = server.open_attempt
    if attempt is None or server.state is not State.SUBMITTING or len(attempt.early) >= MOST_EARLY:
        return
    attempt.early, attempt.early_queue = (*attempt.early, event), server.queue_remaining


def take_early(server: Server) -> Sequence[events.Event]:
    """Return the kept events that are about the attempt, once its POST is answered, and drop the others."""
    attempt = server.open_attempt
    if attempt is None or not attempt.early or server.state is State.SUBMITTING:
        return ()
    early, attempt.early = attempt.early, ()
    if server.queue_remaining != attempt.early_queue:
        attempt.fall_expected = True  # the frame with the shorter queue has already arrived
    return [event for event in early if attempt.is_about(event.prompt_id)]


def _expect_shorter_queue(server: Server, attempt: Attempt) -> None:
    """Subtract our prompt from the queue's length before the next `status` frame, which would look like foreign work.

    ComfyUI sends success first and `status` after it (transcript 01), so only an end reported by a frame is early.
    """
    if server.queue_remaining and not attempt.fall_expected:
        server.queue_remaining -= 1
    attempt.fall_expected = True


def _close_attempt(server: Server, outcome: Outcome, at: float, proved_by: Source | None, message: Message) -> None:
    attempt = server.open_attempt
    if attempt is None:
        return
    attempt.outcome, attempt.ended_at, attempt.confirmed_by = outcome, at, proved_by
    attempt.message = message or attempt.message


PROMPT_REDUCERS: Mapping[type, Reducer] = {
    events.SubmissionStarted: _submission_started,
    events.SubmissionWithheld: _submission_withheld,
    events.SubmissionUnanswered: _submission_unanswered,
    events.SubmissionLimited: _submission_limited,
    events.PromptAccepted: _prompt_accepted,
    events.PromptRefused: _prompt_refused,
    events.PromptCached: _prompt_cached,
    events.PromptNodeStarted: _prompt_node_started,
    events.PromptNodeBlocked: _prompt_node_blocked,
    events.PromptProgress: _prompt_progress,
    events.PromptSucceeded: _prompt_succeeded,
    events.PromptFailed: _prompt_failed,
    events.PromptInterrupted: _prompt_interrupted,
    events.PromptAbsent: _prompt_absent,
    events.PromptStuck: _prompt_stuck,
}
