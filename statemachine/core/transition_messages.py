"""The message of a transition."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from statemachine.core import events
from statemachine.core.levels import NO_LEVELS, NO_PLACES, keys_below
from statemachine.core.messages import Message, joined, message
from statemachine.core.restart import RestartStage
from statemachine.core.server import CacheChange, Outcome, Server
from statemachine.core.vocabulary import Reason

_MEANINGS: Mapping[Reason, Message] = {reason: message(f"reason.{reason.value}") for reason in Reason}


def transition_message(event: events.Event, server: Server, reason: Reason) -> Message:
    """Return what happened: the event's own message, or the meaning of the reason.

    `server` has taken the event in, and is still in the state that it leaves.
    """
    make = _MESSAGES.get(type(event))
    made = make(event, server, reason) if make is not None else getattr(event, "message", None)
    return made or _MEANINGS[reason]


def _complete(event: events.CheckAnswered) -> Message:
    if event.caveat is not None:
        return message("check_complete_but", kind=event.kind, caveat=event.caveat)
    return message("check_complete", kind=event.kind)


def _check_answered(event: events.CheckAnswered, server: Server, reason: Reason) -> Message:
    """Return the verdict, with the nodes that were blocked in our last success if it is about that workflow."""
    verdict = _incomplete(event, server, reason) if event.needed else _complete(event)
    attempt = server.attempt
    if attempt is None or (event.needed and attempt.workflow not in event.needed):
        return verdict
    return joined([verdict, *attempt.blocked]) if attempt.outcome is Outcome.SUCCEEDED else verdict


def _incomplete(event: events.CheckAnswered, server: Server, reason: Reason) -> Message:
    missing = _missing(event, server, reason)
    return joined([missing, event.caveat]) if event.caveat is not None else missing


def _missing(event: events.CheckAnswered, server: Server, reason: Reason) -> Message:
    missing = event.missing or event.below or event.needed
    if reason is Reason.SERVER_AUTO_EXECUTING:
        return message("server_loading", missing=missing)
    if reason is Reason.CACHED_WITHOUT_LOADING:
        varied = server.succeeded is not None and server.succeeded.varied_tag
        return message("nodes_not_run_again" if varied else "nodes_not_run", missing=missing)
    if reason is Reason.CONTESTED:
        return message(_lost_code(event, server), missing=missing, count=server.contention.losses)
    if reason in _CHECK_CODES:
        return _still_lacking(event, server, reason, missing)
    return message("gave_up", count=server.streak.count, failure=_MEANINGS[reason])


def _lost_code(event: events.CheckAnswered, server: Server) -> str:
    if server.contention.by_end:
        return "ended_again"
    return "unloaded_again" if event.below and not event.missing else "evicted_again"


def _still_lacking(event: events.CheckAnswered, server: Server, reason: Reason, missing: Sequence[str]) -> Message:
    """Return which keys are missing; if none is, which models are below the wanted level, and where they are."""
    keys_code, below_code = _CHECK_CODES[reason]
    if event.missing or not event.below:
        return message(keys_code, kind=event.kind, missing=missing)
    wanted, places = event.node_cursor.wanted if event.node_cursor else NO_LEVELS, event.places or NO_PLACES
    models = [
        message("model_below", key=key, level=places[key].level.word, wanted=wanted[key].word) for key in event.below
    ]
    return message(below_code, kind=event.kind, models=models)


def _not_answering(event: events.NotAnswering, server: Server, _reason: Reason) -> Message:
    """Return the cause, with the failure of a restart since which no check was answered."""
    silent = message("no_answers", count=server.consecutive_failures, cause=event.message)
    restart = server.restart
    if restart is None or restart.stage is not RestartStage.FAILED or restart.hook_started_at is None:
        return silent
    if server.last_check is not None and server.last_check >= (restart.ended_at or 0.0):
        return silent
    return joined([silent, message("latest_restart_failed", cause=restart.message)])


def _submission_started(event: events.SubmissionStarted, _server: Server, _reason: Reason) -> Message:
    return message("submitting_varied" if event.varied_tag else "submitting", workflow=event.workflow)


def _prompt_accepted(_event: events.PromptAccepted, server: Server, _reason: Reason) -> Message:
    return message("workflow_accepted", workflow=server.attempt.workflow if server.attempt else "?")


def _prompt_succeeded(_event: events.PromptSucceeded, server: Server, reason: Reason) -> Message:
    blocked = server.attempt.blocked if server.attempt is not None else ()
    return joined([_MEANINGS[reason], *blocked])


def _prompt_absent(event: events.PromptAbsent, server: Server, reason: Reason) -> Message:
    if reason is Reason.WARM_UP_ENDS_SERVER:
        return message("warm_ups_end_server", count=server.streak.count)
    if server.streak.gave_up:
        return message("gave_up", count=server.streak.count, failure=event.message)
    return event.message


def _check_withheld(_event: events.CheckWithheld, server: Server, _reason: Reason) -> Message:
    return message("own_loading_ends_server", count=server.streak.count)


def _check_postponed(_event: events.CheckPostponed, server: Server, _reason: Reason) -> Message:
    return message("own_loading_postponed", count=server.contention.losses)


def _prompt_interrupted(_event: events.PromptInterrupted, server: Server, reason: Reason) -> Message:
    meaning = _MEANINGS[reason]
    return message("gave_up", count=server.streak.count, failure=meaning) if server.streak.gave_up else meaning


def _cache_reported(event: events.CacheReported, server: Server, reason: Reason) -> Message | None:
    """Name the missing keys, unless a frame was lost: it may have reported others."""
    if server.cache_change is CacheChange.COMPLETE:
        return message("reported_complete")
    cursor = server.node_cursor
    lacking = cursor.lacks(event.present) if cursor is not None else ()
    below = keys_below(event.places or NO_PLACES, cursor.wanted) if cursor is not None else ()
    if reason is Reason.CACHE_CHANGED and below and not lacking:
        return message("reported_below", keys=below)
    known = reason is Reason.CACHE_CHANGED and lacking and not event.truncated
    return message("reported_missing", missing=lacking) if known else None


def _operator_requested(event: events.OperatorEvent, _server: Server, reason: Reason) -> Message | None:
    return message("requested_by", what=_MEANINGS[reason], by=event.by) if event.by is not None else None


def _restart_requested(event: events.RestartRequested, _server: Server, reason: Reason) -> Message:
    asked = event.message or _MEANINGS[reason]
    return message("requested_by", what=asked, by=event.by) if event.by is not None else asked


def _restart_overdue(event: events.RestartOverdue, server: Server, _reason: Reason) -> Message:
    return message("not_warmed_in", seconds=event.seconds, cause=server.message)


def _pause_requested(event: events.PauseRequested, _server: Server, reason: Reason) -> Message:
    paused = event.pause.described(_MEANINGS[reason])
    return message("requested_by", what=paused, by=event.by) if event.by is not None else paused


_CHECK_CODES: Mapping[Reason, tuple[str, str]] = {
    Reason.KEYS_MISSING: ("check_missing", "check_below"),
    Reason.MODELS_UNLOADED: ("check_missing", "check_below"),
    Reason.STILL_COLD_AFTER_SUCCESS: ("still_missing", "still_below"),
}
"""The messages of missing keys and of models below the wanted level."""

_MESSAGES: Mapping[type, Callable[[Any, Server, Reason], Message | None]] = {
    events.CheckAnswered: _check_answered,
    events.NotAnswering: _not_answering,
    events.SubmissionStarted: _submission_started,
    events.PromptAccepted: _prompt_accepted,
    events.CheckWithheld: _check_withheld,
    events.CheckPostponed: _check_postponed,
    events.PromptSucceeded: _prompt_succeeded,
    events.PromptAbsent: _prompt_absent,
    events.PromptInterrupted: _prompt_interrupted,
    events.CacheReported: _cache_reported,
    events.CheckRequested: _operator_requested,
    events.WarmRequested: _operator_requested,
    events.PauseRequested: _pause_requested,
    events.ResumeRequested: _operator_requested,
    events.RestartRequested: _restart_requested,
    events.RestartOverdue: _restart_overdue,
}
