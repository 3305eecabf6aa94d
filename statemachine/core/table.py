"""Every possible transition in one table, which the machine runs and the diagram shows.

Of the rows with the same source and event the first one whose guard holds is used. If none holds, the event only
changes the server's memory (see `reducers.py`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from statemachine.core import events as e
from statemachine.core.repetition import GIVE_UP_REASONS
from statemachine.core.restart import RestartStage
from statemachine.core.server import CacheChange, Server
from statemachine.core.vocabulary import IN_FLIGHT, Reason, Source, State

Guard = Callable[[Server, Any], bool]

S = State


@dataclass(frozen=True, slots=True)
class Row:
    """One transition. If `reason` or `proved_by` is None, the event carries it."""

    event: type
    source: State
    dest: State
    reason: Reason | None
    proved_by: Source | None
    guard: Guard | None = None


def everything_cached(server: Server, event: e.CheckAnswered) -> bool:
    """The answer is from the current epoch, and no workflow must run."""
    return server.verdict_fresh and not event.needed


def loads_by_itself(server: Server, event: e.CheckAnswered) -> bool:
    """The server is loading what is missing."""
    return event.auto_executing


def something_needed(server: Server, event: e.CheckAnswered) -> bool:
    """A workflow must run."""
    return bool(event.needed)


def models_unloaded(server: Server, event: e.CheckAnswered) -> bool:
    """Every key is cached, and models are below the level that the settings want."""
    return something_needed(server, event) and bool(event.below) and not event.missing


def something_missing(server: Server, event: e.CheckAnswered) -> bool:
    """A workflow must run, and not only to bring models back into memory."""
    return something_needed(server, event) and not models_unloaded(server, event)


def not_run_again(server: Server, event: e.CheckAnswered) -> bool:
    """The executor did not run the cache nodes although the tag was varied."""
    varied = server.succeeded is not None and server.succeeded.varied_tag
    return something_needed(server, event) and server.cached_by_executor and varied


def not_run(server: Server, event: e.CheckAnswered) -> bool:
    """The executor took the cache nodes from its own cache and did not run them."""
    return something_needed(server, event) and server.cached_by_executor


def still_cold(server: Server, event: e.CheckAnswered) -> bool:
    """The workflow ran and succeeded, but its keys are missing; the first time that may be an eviction."""
    return something_needed(server, event) and server.still_cold


def still_cold_again(server: Server, event: e.CheckAnswered) -> bool:
    """The same after more than one attempt."""
    return still_cold(server, event) and server.ineffective_warmups > 1


def contested(server: Server, event: e.CheckAnswered) -> bool:
    """Other work has evicted the models again, soon after they were loaded."""
    return something_needed(server, event) and server.contention.is_contested


def gave_up_for(reason: Reason) -> Guard:
    """Return the guard of a server that must not be warmed before the long backoff has ended."""

    def gave_up_warming(server: Server, event: e.CheckAnswered) -> bool:
        return something_needed(server, event) and server.streak.gave_up and server.streak.reason is reason

    return gave_up_warming


def lost_repeatedly(server: Server, event: e.PromptAbsent) -> bool:
    """Several warm-ups in a row were lost."""
    return server.streak.gave_up and server.streak.reason is Reason.PROMPT_LOST


def ends_server_repeatedly(server: Server, event: e.PromptAbsent) -> bool:
    """Several warm-ups in a row were lost with the server's process."""
    return server.streak.gave_up and server.streak.reason is Reason.WARM_UP_ENDS_SERVER


def interrupted_repeatedly(server: Server, event: e.PromptInterrupted) -> bool:
    """Several warm-ups in a row were interrupted."""
    return ended(server, event) and server.streak.gave_up and server.streak.reason is Reason.PROMPT_INTERRUPTED


def not_understood(server: Server, event: e.CheckUnusable) -> bool:
    """An answer that is not understood is unknown, never a failure of the server and never cold."""
    return event.reason is Reason.CHECK_UNRECOGNISED


def was_rate_limited(server: Server, event: e.CheckUnusable | e.PromptRefused) -> bool:
    """The server accepts no more requests for now; that says nothing about the cache or the workflow."""
    return event.reason is Reason.RATE_LIMITED


def fell(server: Server, event: object) -> bool:
    """The server failed to answer `fall` times in a row."""
    return server.consecutive_failures >= server.reachability.fall


def rose(server: Server, event: object) -> bool:
    """The server answered `rise` times in a row."""
    return server.answers >= server.reachability.rise


def refused_before(server: Server, event: e.LinkOpened) -> bool:
    """Connections were refused before, so this is another process."""
    return event.refused_before


def linked_before(server: Server, event: e.LinkOpened) -> bool:
    """This is not the first connection, or it was opened late; events before it may have been missed."""
    return server.links > 1 or event.failed_before


def foreign_work_finished(server: Server, event: e.QueueSeen) -> bool:
    """The queue got shorter, and not by our own prompt."""
    return server.queue_fell


def is_another_instance(server: Server, event: e.CacheReported) -> bool:
    """The companion node reports another instance than before."""
    return server.cache_change is CacheChange.RESTARTED


def may_have_lost_keys(server: Server, event: e.CacheReported) -> bool:
    """A key that was asked for is gone, or a frame that may have said so was lost."""
    return server.cache_change is CacheChange.MAYBE_LOST


def has_all_keys(server: Server, event: e.CacheReported) -> bool:
    """The companion node reports that the missing keys are cached; a check must confirm it."""
    return server.cache_change is CacheChange.COMPLETE and bool(server.missing or server.below)


def ended(server: Server, event: e.PromptEnd) -> bool:
    """The event has just closed our attempt. A frame that overtakes the answer to our POST does not."""
    attempt = server.attempt
    return attempt is not None and attempt.is_about(event.prompt_id) and not attempt.is_open


def stuck_and_ended(server: Server, event: e.PromptEnd) -> bool:
    """A prompt that seemed stuck has ended."""
    return ended(server, event) and server.reason is Reason.QUEUE_STUCK


def ran_out_of_memory(server: Server, event: e.PromptFailed) -> bool:
    """ComfyUI reported that the node ran out of memory."""
    return ended(server, event) and event.out_of_memory


def attempt_is_open(server: Server, event: object) -> bool:
    """The server may have a prompt of ours."""
    return server.open_attempt is not None


def nothing_in_flight(server: Server, event: object) -> bool:
    """The server has no prompt of ours."""
    return server.open_attempt is None


def is_about_attempt(server: Server, event: e.PromptAccepted) -> bool:
    """The event is about the open attempt."""
    return server.attempt_about(event.prompt_id) is not None


def waits_for_another_cause(server: Server, event: e.SubmissionDelayed) -> bool:
    """The state does not say yet what the server waits for; each cause is published once."""
    return (event.reason, event.message) != (server.reason, server.message)


def changes_pause(server: Server, event: e.PauseRequested) -> bool:
    """The paused server is given another end or another note."""
    return event.terms != server.pause.terms


def restart_was_opened(server: Server, event: e.RestartRequested) -> bool:
    """The request opened a restart: none was open, and the last one was another."""
    restart = server.restart
    return restart is not None and restart.id == event.id and restart.stage is RestartStage.DRAINING


def not_said_before(server: Server, event: e.RestartLimitReached) -> bool:
    """The server has not failed for this reason yet."""
    return server.reason is not Reason.RESTART_LIMIT


def restart_is_open(server: Server, event: e.RestartFailed) -> bool:
    """The restart of the server has not ended: it had returned, or its hook ran while it was paused."""
    return server.open_restart is not None


def has_hook_begun(server: Server, event: e.ResumeRequested | e.PauseEnded) -> bool:
    """The hook of the paused server may be running, so that its restart goes on."""
    return server.open_restart is not None and server.open_restart.has_hook_begun


def returned_from_restart(server: Server, event: e.RestartOverdue) -> bool:
    """The restart's server has returned, and is not loaded yet."""
    return server.open_restart is not None and server.open_restart.stage is RestartStage.RETURNED


def attempt_was_opened(server: Server, event: e.SubmissionStarted) -> bool:
    """The submission opened an attempt, because nothing else was in flight."""
    return server.attempt_about(event.prompt_id) is not None


def _rows(event: type, sources: Iterable[State], dest: State, reason: Reason | None, proved_by: Source | None,
          guard: Guard | None = None) -> tuple[Row, ...]:  # fmt: skip
    return tuple(Row(event, source, dest, reason, proved_by, guard) for source in sources)


VERDICTS = (S.CHECKING, S.LOADED, S.COLD)
ANSWERING = (S.UNKNOWN, S.CHECKING, S.LOADED, S.COLD, S.AUTO_EXECUTING, S.SUBMITTING, S.WARMING, S.FAILED)
RESTING = (S.LOADED, S.COLD, S.FAILED)
ACTING = (*ANSWERING[1:], S.UNREACHABLE)
RESTARTABLE = (*ANSWERING, S.UNREACHABLE)

TABLE: tuple[Row, ...] = (
    # Checks. `loaded` and `cold` keep their verdict while the periodic check is asked.
    *_rows(e.SubmissionUncertain, (S.UNKNOWN, S.COLD), S.SUBMITTING, Reason.PROMPT_IN_DOUBT, Source.DAEMON,
           attempt_is_open),
    *_rows(e.CheckWithheld, (S.CHECKING,), S.FAILED, Reason.WARM_UP_ENDS_SERVER, Source.DAEMON),
    *_rows(e.CheckPostponed, (S.UNKNOWN,), S.UNKNOWN, Reason.CONTESTED, Source.DAEMON),
    *_rows(e.CheckStarted, (S.UNKNOWN,), S.CHECKING, Reason.CHECK_STARTED, Source.DAEMON),
    *_rows(e.CheckAnswered, (S.CHECKING, S.COLD), S.LOADED, Reason.ALL_CACHED, Source.CHECK, everything_cached),
    *_rows(e.CheckAnswered, VERDICTS, S.AUTO_EXECUTING, Reason.SERVER_AUTO_EXECUTING, Source.CHECK, loads_by_itself),
    *(Row(e.CheckAnswered, S.CHECKING, S.FAILED, reason, Source.CHECK, gave_up_for(reason))
      for reason in GIVE_UP_REASONS),
    *_rows(e.CheckAnswered, (S.CHECKING,), S.FAILED, Reason.CACHED_WITHOUT_LOADING, Source.CHECK, not_run_again),
    *_rows(e.CheckAnswered, (S.CHECKING,), S.COLD, Reason.CACHED_WITHOUT_LOADING, Source.CHECK, not_run),
    *_rows(e.CheckAnswered, (S.CHECKING,), S.FAILED, Reason.STILL_COLD_AFTER_SUCCESS, Source.CHECK, still_cold_again),
    *_rows(e.CheckAnswered, (S.CHECKING,), S.COLD, Reason.STILL_COLD_AFTER_SUCCESS, Source.CHECK, still_cold),
    *_rows(e.CheckAnswered, (S.CHECKING, S.LOADED), S.COLD, Reason.CONTESTED, Source.CHECK, contested),
    *_rows(e.CheckAnswered, (S.CHECKING, S.LOADED), S.COLD, Reason.KEYS_MISSING, Source.CHECK, something_missing),
    *_rows(e.CheckAnswered, (S.CHECKING, S.LOADED), S.COLD, Reason.MODELS_UNLOADED, Source.CHECK, models_unloaded),
    *_rows(e.CheckUnusable, (*VERDICTS, S.AUTO_EXECUTING), S.UNKNOWN, Reason.CHECK_UNRECOGNISED, Source.CHECK,
           not_understood),
    *_rows(e.CheckUnusable, (*VERDICTS, S.AUTO_EXECUTING), S.UNKNOWN, Reason.RATE_LIMITED, Source.CHECK,
           was_rate_limited),
    *_rows(e.CheckUnusable, (*VERDICTS, S.AUTO_EXECUTING), S.FAILED, None, Source.CHECK),
    # Signs that the last verdict may be stale.
    *_rows(e.LinkLost, (S.LOADED,), S.UNKNOWN, Reason.LINK_LOST, Source.LINK),
    *_rows(e.LinkOpened, (*RESTING, S.AUTO_EXECUTING), S.UNKNOWN, Reason.SERVER_RESTARTED, Source.LINK,
           refused_before),
    *_rows(e.LinkOpened, (S.LOADED, S.COLD), S.UNKNOWN, Reason.LINK_RESTORED, Source.LINK, linked_before),
    *_rows(e.QueueSeen, (S.LOADED,), S.UNKNOWN, Reason.FOREIGN_WORK_FINISHED, None, foreign_work_finished),
    *_rows(e.CacheReported, (*RESTING, S.AUTO_EXECUTING), S.UNKNOWN, Reason.SERVER_RESTARTED, Source.WS,
           is_another_instance),
    *_rows(e.CacheReported, (S.LOADED,), S.UNKNOWN, Reason.CACHE_CHANGED, Source.WS, may_have_lost_keys),
    *_rows(e.CacheReported, (S.COLD, S.AUTO_EXECUTING), S.CHECKING, Reason.CACHE_CHANGED, Source.WS, has_all_keys),
    *_rows(e.QueueDrained, (S.COLD, S.AUTO_EXECUTING), S.CHECKING, Reason.FOREIGN_WORK_FINISHED, Source.QUEUE),
    # Warm-ups: recorded, posted, tracked to a confirmed end.
    *_rows(e.ForeignLoadDetected, (S.UNKNOWN, S.COLD), S.AUTO_EXECUTING, Reason.SERVER_AUTO_EXECUTING, Source.QUEUE,
           nothing_in_flight),
    *_rows(e.PreflightFailed, (S.UNKNOWN, S.COLD), S.FAILED, None, Source.PREFLIGHT),
    *_rows(e.SubmissionStarted, (S.COLD,), S.SUBMITTING, Reason.PERMIT_GRANTED, Source.QUEUE, attempt_was_opened),
    *_rows(e.SubmissionDelayed, (S.COLD,), S.COLD, None, Source.QUEUE, waits_for_another_cause),
    *_rows(e.SubmissionWithheld, (S.SUBMITTING,), S.COLD, Reason.JOURNAL_UNAVAILABLE, Source.DAEMON),
    *_rows(e.PromptAccepted, (S.SUBMITTING,), S.WARMING, Reason.PROMPT_ACCEPTED, None, is_about_attempt),
    *_rows(e.SubmissionLimited, (S.SUBMITTING,), S.UNKNOWN, Reason.RATE_LIMITED, Source.REPLY),
    *_rows(e.PromptRefused, (S.SUBMITTING,), S.UNKNOWN, Reason.RATE_LIMITED, Source.REPLY, was_rate_limited),
    *_rows(e.PromptRefused, (S.SUBMITTING,), S.FAILED, None, Source.REPLY),
    *_rows(e.PromptSucceeded, IN_FLIGHT, S.CHECKING, Reason.PROMPT_SUCCEEDED, None, ended),
    *_rows(e.PromptSucceeded, (S.FAILED,), S.UNKNOWN, Reason.PROMPT_SUCCEEDED, None, stuck_and_ended),
    *_rows(e.PromptFailed, IN_FLIGHT, S.FAILED, Reason.OUT_OF_MEMORY, None, ran_out_of_memory),
    *_rows(e.PromptFailed, IN_FLIGHT, S.FAILED, Reason.PROMPT_FAILED, None, ended),
    *_rows(e.PromptInterrupted, IN_FLIGHT, S.FAILED, Reason.PROMPT_INTERRUPTED, None, interrupted_repeatedly),
    *_rows(e.PromptInterrupted, IN_FLIGHT, S.UNKNOWN, Reason.PROMPT_INTERRUPTED, None, ended),
    *_rows(e.PromptAbsent, IN_FLIGHT, S.FAILED, Reason.WARM_UP_ENDS_SERVER, Source.HISTORY, ends_server_repeatedly),
    *_rows(e.PromptAbsent, IN_FLIGHT, S.FAILED, Reason.PROMPT_LOST, Source.HISTORY, lost_repeatedly),
    *_rows(e.PromptAbsent, IN_FLIGHT, S.UNKNOWN, None, Source.HISTORY),
    *_rows(e.PromptStuck, (*IN_FLIGHT, S.AUTO_EXECUTING), S.FAILED, Reason.QUEUE_STUCK, Source.QUEUE),
    # Reachability.
    *_rows(e.NotAnswering, ANSWERING, S.UNREACHABLE, Reason.NOT_ANSWERING, Source.PROBE, fell),
    *_rows(e.Answering, (S.UNREACHABLE,), S.UNKNOWN, Reason.ANSWERING_AGAIN, Source.PROBE, rose),
    # Time and the operator.
    *_rows(e.RetryDue, (S.FAILED,), S.UNKNOWN, Reason.RETRY_DUE, Source.DAEMON),
    *_rows(e.CheckRequested, RESTING, S.UNKNOWN, Reason.CHECK_REQUESTED, Source.OPERATOR),
    *_rows(e.WarmRequested, RESTING, S.UNKNOWN, Reason.WARM_REQUESTED, Source.OPERATOR),
    *_rows(e.PauseRequested, [s for s in S if s is not S.PAUSED], S.PAUSED, Reason.PAUSE_REQUESTED, Source.OPERATOR),
    *_rows(e.SettingsChanged, ACTING, S.UNKNOWN, Reason.SETTINGS_CHANGED, Source.DAEMON),
    *_rows(e.PauseRequested, (S.PAUSED,), S.PAUSED, Reason.PAUSE_REQUESTED, Source.OPERATOR, changes_pause),
    *_rows(e.PauseEnded, (S.PAUSED,), S.RESTARTING, Reason.HOOK_STARTED, Source.DAEMON, has_hook_begun),
    *_rows(e.PauseEnded, (S.PAUSED,), S.UNKNOWN, Reason.PAUSE_ENDED, Source.DAEMON),
    *_rows(e.ResumeRequested, (S.PAUSED,), S.RESTARTING, Reason.HOOK_STARTED, Source.OPERATOR, has_hook_begun),
    *_rows(e.ResumeRequested, (S.PAUSED,), S.UNKNOWN, Reason.RESUME_REQUESTED, Source.OPERATOR),
    # Restarts: drained, the hook recorded and run once, and the server back as another process.
    *_rows(e.RestartRequested, RESTARTABLE, S.DRAINING, Reason.RESTART_REQUESTED, None, restart_was_opened),
    *_rows(e.RestartLimitReached, (*RESTING, S.AUTO_EXECUTING), S.FAILED, Reason.RESTART_LIMIT, Source.DAEMON,
           not_said_before),
    *_rows(e.ResumeRequested, (S.DRAINING,), S.UNKNOWN, Reason.RESTART_CANCELLED, Source.OPERATOR),
    *_rows(e.RestartWithheld, (S.DRAINING,), S.UNKNOWN, None, Source.DAEMON),
    *_rows(e.HookStarted, (S.DRAINING,), S.RESTARTING, Reason.HOOK_STARTED, Source.DAEMON),
    *_rows(e.ServerReturned, (S.RESTARTING,), S.UNKNOWN, Reason.SERVER_RETURNED, Source.PROBE),
    *_rows(e.RestartFailed, (S.RESTARTING,), S.FAILED, None, Source.DAEMON),
    *_rows(e.RestartFailed, (S.UNREACHABLE,), S.FAILED, None, Source.DAEMON, restart_is_open),
    *_rows(e.RestartFailed, (S.PAUSED,), S.PAUSED, Reason.HOOK_FAILED, Source.DAEMON, restart_is_open),
    *_rows(e.PausedHookEnded, (S.PAUSED,), S.PAUSED, Reason.PAUSE_REQUESTED, Source.DAEMON),
    *(Row(e.RestartOverdue, state, state, Reason.NOT_WARMED, Source.DAEMON, returned_from_restart)
      for state in (S.UNKNOWN, S.COLD, S.AUTO_EXECUTING, S.UNREACHABLE)),
)  # fmt: skip
