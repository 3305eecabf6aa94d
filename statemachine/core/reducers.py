"""How a server's memory learns from events.

Learning comes first and is the same in every state; whether the state changes is then decided by the table, whose
guards read what was learnt.
"""

from dataclasses import replace
from functools import singledispatch

from statemachine.core import events
from statemachine.core.attempt import Attempt, Outcome
from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.core.server import CacheChange, Server
from statemachine.core.vocabulary import Source, State


def learn(event: events.Event, server: Server, at: float) -> None:
    """Take into `server` what `event`, seen at `at` (seconds since the epoch), says."""
    _lesson.registry.get(type(event), _lesson)(event, server, at)


@singledispatch
def _lesson(event: object, server: Server, at: float) -> None:
    """Unlisted events teach nothing. (Looked up in the registry: no class is derived from an event's.)"""


@_lesson.register
def _check_answered(event: events.CheckAnswered, server: Server, at: float) -> None:
    """A stale answer may still say that something is missing: only `loaded` must rest on a fresh one."""
    server.recheck_failures = 0
    server.verdict_fresh = event.epoch == server.epoch
    if not server.verdict_fresh and not event.needed:
        return
    _meet_companion(event.node_cursor, server)
    server.check_kind, server.last_check = event.kind, at
    server.missing, server.needed = event.missing, event.needed
    server.auto_executing = event.auto_executing
    server.auto_rounds = server.auto_rounds + 1 if event.auto_executing else 0
    if not event.needed:
        _start_over(server)
        return
    _judge_success(server)


def _meet_companion(answered: events.NodeCursor | None, server: Server) -> None:
    """Its frames are measured against this answer. What they told meanwhile stays told: they may overtake it."""
    known = server.node_cursor
    server.node_cursor = answered
    if answered is None or known is None:
        return
    if answered.instance != known.instance:
        _restarted(server)
    else:
        sequence = max(answered.sequence or 0, known.sequence or 0)
        server.node_cursor = replace(answered, sequence=sequence, truncated=known.truncated)


def _judge_success(server: Server) -> None:
    """Count a success that brought nothing, once, however often it is checked afterwards."""
    if server.succeeded is None or server.succeeded.judged:
        return
    server.succeeded.judged = True
    server.ineffective_warmups = server.ineffective_warmups + 1 if server.still_cold else 0
    server.failures += server.still_cold


@_lesson.register
def _check_unusable(event: events.CheckUnusable, server: Server, at: float) -> None:
    server.last_check = at
    server.failures += 1


@_lesson.register
def _not_answering(event: events.NotAnswering, server: Server, at: float) -> None:
    server.answers = 0
    if event.held:
        server.consecutive_failures = min(server.consecutive_failures + 1, server.reachability.fall - 1)
        return
    server.consecutive_failures += 1
    if server.consecutive_failures == server.reachability.fall:
        server.disconnect_count += 1
        server.recheck_failures += server.state is State.CHECKING


@_lesson.register
def _answering(event: events.Answering, server: Server, at: float) -> None:
    server.answers += 1
    server.consecutive_failures = 0


@_lesson.register
def _link_opened(event: events.LinkOpened, server: Server, at: float) -> None:
    server.client_id = event.client_id
    server.queue_remaining = None
    server.links += 1
    server.epoch += server.links > 1
    if event.refused_before:
        _restarted(server)


@_lesson.register
def _link_lost(event: events.LinkLost, server: Server, at: float) -> None:
    server.client_id = None
    server.queue_remaining = None
    server.epoch += 1
    if server.node_cursor is not None:
        server.node_cursor = replace(server.node_cursor, sequence=None)


@_lesson.register
def _cache_reported(event: events.CacheReported, server: Server, at: float) -> None:
    """A frame that is no newer than what is known says nothing: the check's answer may overtake it.

    Before any answer there is nothing to measure a frame against: it only makes the answer under way a stale one.
    """
    known = server.node_cursor
    server.cache_change = CacheChange.NOTHING
    if known is None:
        server.epoch += 1
        return
    restarted = event.instance != known.instance
    if not restarted and known.sequence is not None and event.sequence <= known.sequence:
        return
    server.cache_change = CacheChange.RESTARTED if restarted else _news(event, known)
    truncated = event.truncated and bool(known.lacks(event.present))
    server.node_cursor = replace(known, instance=event.instance, sequence=event.sequence, truncated=truncated)
    if server.cache_change in (CacheChange.RESTARTED, CacheChange.MAYBE_LOST):
        server.epoch += 1
    if restarted:
        _restarted(server)


def _news(event: events.CacheReported, known: events.NodeCursor) -> CacheChange:
    """A gap in the numbers is a frame that was lost; the first frame of a connection has nothing to compare with."""
    if known.sequence is not None and event.sequence > known.sequence + 1:
        return CacheChange.MAYBE_LOST
    if not known.lacks(event.present):
        return CacheChange.COMPLETE
    return CacheChange.NOTHING if event.truncated else CacheChange.MAYBE_LOST


@_lesson.register
def _queue_seen(event: events.QueueSeen, server: Server, at: float) -> None:
    before = server.queue_remaining
    server.queue_fell = before is not None and event.remaining < before
    server.queue_remaining = event.remaining
    if server.queue_fell:
        server.epoch += 1


@_lesson.register
def _submission_started(event: events.SubmissionStarted, server: Server, at: float) -> None:
    """Only a cold server with nothing in flight may be submitted to."""
    if server.state is not State.COLD or server.open_attempt is not None:
        return
    server.succeeded = None
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


@_lesson.register
def _submission_withheld(event: events.SubmissionWithheld, server: Server, at: float) -> None:
    server.failures += 1
    _close(server, Outcome.WITHHELD, at, None, event.message)


@_lesson.register
def _submission_unanswered(event: events.SubmissionUnanswered, server: Server, at: float) -> None:
    if server.attempt is not None:
        server.attempt.message, server.attempt.answered = event.message, event.answered


@_lesson.register
def _prompt_accepted(event: events.PromptAccepted, server: Server, at: float) -> None:
    attempt = server.attempt_about(event.prompt_id)
    if attempt is None:
        return
    attempt.outcome = Outcome.ACCEPTED
    attempt.server_prompt_id = event.server_prompt_id
    attempt.accepted_at = attempt.accepted_at or at
    attempt.last_progress_at = at


@_lesson.register
def _prompt_refused(event: events.PromptRefused, server: Server, at: float) -> None:
    server.failures += 1
    if event.still_runs and server.open_attempt is not None:
        server.open_attempt.outcome, server.open_attempt.message = Outcome.ACCEPTED, event.message
    else:
        _close(server, Outcome.REFUSED, at, Source.REPLY, event.message)


@_lesson.register
def _workflow_unfit(event: events.PreflightFailed, server: Server, at: float) -> None:
    server.failures += 1


@_lesson.register
def _prompt_cached(event: events.PromptCached, server: Server, at: float) -> None:
    if attempt := server.attempt_about(event.prompt_id):
        attempt.cached_nodes = event.nodes
        attempt.advance(0, at)


@_lesson.register
def _prompt_node_started(event: events.PromptNodeStarted, server: Server, at: float) -> None:
    if attempt := server.attempt_about(event.prompt_id):
        attempt.advance(attempt.nodes_started, at)
        attempt.nodes_started += 1


@_lesson.register
def _prompt_progress(event: events.PromptProgress, server: Server, at: float) -> None:
    if attempt := server.attempt_about(event.prompt_id):
        attempt.advance(event.done, at)


@_lesson.register
def _prompt_succeeded(event: events.PromptSucceeded, server: Server, at: float) -> None:
    if _end(server, event, event.prompt_id, Outcome.SUCCEEDED, at, event.witness) and server.attempt is not None:
        if event.cached_nodes is not None:
            server.attempt.cached_nodes = event.cached_nodes
        server.attempt.progress = 1.0
        server.succeeded = server.attempt


@_lesson.register
def _prompt_failed(event: events.PromptFailed, server: Server, at: float) -> None:
    if _end(server, event, event.prompt_id, Outcome.FAILED, at, event.witness, event.message):
        server.failures += 1


@_lesson.register
def _prompt_interrupted(event: events.PromptInterrupted, server: Server, at: float) -> None:
    if _end(server, event, event.prompt_id, Outcome.INTERRUPTED, at, event.witness):
        server.failures += 1


@_lesson.register
def _prompt_absent(event: events.PromptAbsent, server: Server, at: float) -> None:
    server.failures += 1
    server.epoch += 1
    _close(server, Outcome.LOST, at, Source.HISTORY, event.message)


@_lesson.register
def _retry_due(event: events.RetryDue, server: Server, at: float) -> None:
    _start_over(server)


@_lesson.register
def _warm_requested(event: events.WarmRequested, server: Server, at: float) -> None:
    _start_over(server)
    server.epoch += 1


@_lesson.register
def _check_requested(event: events.CheckRequested, server: Server, at: float) -> None:
    server.epoch += 1


@_lesson.register
def _settings_changed(event: events.SettingsChanged, server: Server, at: float) -> None:
    """Its link is a new one and what was asked for may be other: only an attempt in flight is still what it was."""
    server.epoch += 1
    server.links, server.client_id, server.queue_remaining = 0, None, None
    server.check_kind, server.node_cursor, server.missing, server.needed = None, None, (), ()
    server.auto_executing = False
    _start_over(server)


def _restarted(server: Server) -> None:
    """It is another process now, with an empty queue and an empty cache."""
    server.disconnect_count += 1
    server.auto_executing = False
    _start_over(server)


def _start_over(server: Server) -> None:
    """Forget what earlier attempts came to."""
    server.failures, server.ineffective_warmups = 0, 0
    server.succeeded = None


def _end(
    server: Server,
    event: events.PromptEnd,
    prompt_id: str,
    outcome: Outcome,
    at: float,
    witness: Source,
    message: Message = NO_MESSAGE,
) -> bool:
    """Close the open attempt if the event is about it; whether it was closed.

    A frame can overtake the answer to our POST. The answer may still say that a part was refused, so such an end is put
    aside until the POST is answered.
    """
    attempt = server.attempt_about(prompt_id)
    if attempt is None:
        return False
    if witness is Source.WS:
        _expect_own_fall(server, attempt)
    if server.state is State.SUBMITTING and witness is Source.WS:
        attempt.early_end = event
        return False
    _close(server, outcome, at, witness, message)
    server.epoch += 1
    return True


def _expect_own_fall(server: Server, attempt: Attempt) -> None:
    """The `status` frame after our own end is no foreign work: count our prompt as gone before it comes.

    ComfyUI sends success first and `status` after it (transcript 01), so only an end told by a frame is ahead of it.
    """
    if server.queue_remaining and not attempt.fall_expected:
        server.queue_remaining -= 1
    attempt.fall_expected = True


def _close(server: Server, outcome: Outcome, at: float, witness: Source | None, message: Message) -> None:
    attempt = server.open_attempt
    if attempt is None:
        return
    attempt.outcome, attempt.ended_at, attempt.confirmed_by = outcome, at, witness
    attempt.message = message or attempt.message
