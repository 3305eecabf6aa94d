"""How events change a server's memory.

A reducer runs before the table is asked, and is the same in every state. The table's guards read what it has stored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from statemachine.core import events
from statemachine.core.cache_changes import cache_change
from statemachine.core.levels import places_of
from statemachine.core.prompt_reducers import PROMPT_REDUCERS, Reducer
from statemachine.core.repetition import NO_CONTENTION, NO_STREAK
from statemachine.core.restart_reducers import RESTART_REDUCERS, note_new_process
from statemachine.core.server import NOT_WARMED, Attempt, CacheChange, Server
from statemachine.core.vocabulary import Reason, State

OWN_FALL_S = 10.0
"""A prompt leaves the queue within this time after the frame of its success."""


def _check_answered(event: events.CheckAnswered, server: Server, at: float) -> None:
    """Use a stale answer only if it says that something is missing; `loaded` must rest on a fresh one."""
    server.recheck_failures = 0
    server.verdict_fresh = event.epoch == server.epoch
    if not server.verdict_fresh and not event.needed:
        return
    _update_cursor(event.node_cursor, server, at)
    lost_at = _lost_at(server, at)
    server.check_kind, server.last_check = event.kind, at
    server.missing, server.needed = event.missing, event.needed
    server.places, server.below = event.places, event.below
    server.auto_executing = event.auto_executing
    server.auto_rounds = server.auto_rounds + 1 if event.auto_executing else 0
    server.own_loading_lost = False
    link_lost_meanwhile = not server.verdict_fresh and server.links > 0 and server.client_id is None
    server.loading_in_doubt = event.auto_executing and link_lost_meanwhile
    if event.needed:
        _judge_success(event, server)
        _count_loss(event, server, lost_at)
    else:
        _reset_failures(server)
        server.streak = NO_STREAK
        server.loaded_at = at if server.loaded_at is None or server.process_ended else server.loaded_at
    server.gone_at, server.process_ended = None, False


def _update_cursor(answered: events.NodeCursor | None, server: Server, at: float) -> None:
    """Compare later frames with this answer. Frames that overtook the answer keep their effect."""
    known = server.node_cursor
    server.node_cursor = answered
    if answered is None or known is None:
        return
    if answered.instance != known.instance:
        _restarted(server, at)
    else:
        sequence = max(answered.sequence or 0, known.sequence or 0)
        server.node_cursor = replace(answered, sequence=sequence, truncated=known.truncated)


def _judge_success(event: events.CheckAnswered, server: Server) -> None:
    """Count a success without effect once, however often it is checked afterwards.

    A success with effect ends the pauses after earlier failures, so that the next workflow follows at once.
    Foreign work that has run since may have evicted the keys, unless the executor did not run the cache nodes.
    """
    succeeded = server.succeeded
    if succeeded is None or succeeded.judged:
        return
    succeeded.judged = True
    if not server.still_cold:
        server.failures, server.ineffective_warmups = 0, 0
    elif (event.evicted or server.foreign_work_seen) and not server.cached_by_executor:
        server.succeeded = None
    else:
        _count_ineffective(succeeded, server)
        server.warmed_at = _without(server.warmed_at, event.needed)


def _count_ineffective(succeeded: Attempt, server: Server) -> None:
    """Count a success without effect. The first one without loading has a remedy: a varied tag."""
    server.ineffective_warmups += 1
    server.failures += 1
    if not server.cached_by_executor:
        server.streak = server.streak.extended(Reason.STILL_COLD_AFTER_SUCCESS)
    elif succeeded.varied_tag:
        server.streak = server.streak.extended(Reason.CACHED_WITHOUT_LOADING)


def _lost_at(server: Server, at: float) -> float:
    """Return when the models were lost, if this check finds them missing.

    Without /ws no frame causes a check when other work ends: it was between this check and the one before.
    """
    if server.gone_at is not None:
        return server.gone_at
    return at if server.client_id is not None or server.last_check is None else (server.last_check + at) / 2


def _count_loss(event: events.CheckAnswered, server: Server, lost_at: float) -> None:
    """Count models that were loaded and are missing now, once for each round of warm-ups.

    A workflow that this round has not warmed yet is the next to run: another one of ours may have displaced it. Before
    everything was loaded nothing has stayed: a long time was the wait for another workflow.
    """
    loaded_at = server.loaded_at
    if loaded_at is not None or not server.warmed_at.keys().isdisjoint(event.needed):
        server.loaded_at, server.warmed_at = None, NOT_WARMED
        lost = server.contention.after_loss(max(0.0, lost_at - loaded_at) if loaded_at is not None else 0.0)
        server.contention = replace(
            lost, by_end=server.gone_at is not None or server.process_ended, reloading=event.auto_executing
        )


def _without(times: Mapping[str, float], workflows: Sequence[str]) -> Mapping[str, float]:
    return {workflow: at for workflow, at in times.items() if workflow not in workflows} or NOT_WARMED


def _check_unusable(event: events.CheckUnusable, server: Server, at: float) -> None:
    server.last_check = at
    server.failures += event.reason is not Reason.RATE_LIMITED


def _not_answering(event: events.NotAnswering, server: Server, at: float) -> None:
    server.answers = 0
    _note_sign_of_end(server, at)
    if event.refused:
        server.process_ended = server.process_went = True
        _note_cut_off(server)
        note_new_process(server, at)
    if event.held:
        server.consecutive_failures = min(server.consecutive_failures + 1, server.reachability.fall - 1)
        return
    server.consecutive_failures += 1
    if server.consecutive_failures == server.reachability.fall:
        server.disconnect_count += 1
        server.process_ended, server.process_went, server.places = True, True, None
        server.recheck_failures += server.state is State.CHECKING
        _count_own_loading(server)
        _count_unconfirmed_success(server)


def _answering(event: events.Answering, server: Server, at: float) -> None:
    server.answers += 1
    server.consecutive_failures = 0
    server.away_since_request = False


def _link_opened(event: events.LinkOpened, server: Server, at: float) -> None:
    server.client_id = event.client_id
    server.queue_remaining = None
    server.links += 1
    server.epoch += server.links > 1 or event.failed_before
    if event.refused_before:
        _restarted(server, at)


def _link_lost(event: events.LinkLost, server: Server, at: float) -> None:
    """Note that a prompt in flight may have ended with the server's process, which closes its connections."""
    _note_cut_off(server)
    server.loading_in_doubt = server.state is State.AUTO_EXECUTING
    _note_sign_of_end(server, at)
    server.client_id = None
    server.queue_remaining = None
    server.epoch += 1
    if server.node_cursor is not None:
        server.node_cursor = replace(server.node_cursor, sequence=None)


def _cache_reported(event: events.CacheReported, server: Server, at: float) -> None:
    """Ignore a frame that is not newer than the last answer, which may have overtaken it.

    Before the first answer there is nothing to compare with; the frame only makes the pending answer stale.
    """
    known = server.node_cursor
    server.cache_change = CacheChange.NOTHING
    if known is None:
        server.epoch += 1
        return
    restarted = event.instance != known.instance
    if not restarted and known.sequence is not None and event.sequence <= known.sequence:
        return
    server.cache_change = CacheChange.RESTARTED if restarted else cache_change(event, known, server)
    truncated = event.truncated and bool(known.lacks(event.present))
    server.node_cursor = replace(known, instance=event.instance, sequence=event.sequence, truncated=truncated)
    if server.cache_change in (CacheChange.RESTARTED, CacheChange.MAYBE_LOST):
        server.epoch += 1
    if restarted:
        _restarted(server, at)
    elif server.places is not None and event.places is not None:
        server.places = {**server.places, **places_of(known.keys, event.places)}


def _queue_seen(event: events.QueueSeen, server: Server, at: float) -> None:
    if server.loading_in_doubt and not event.remaining:
        _count_own_loading(server)
    server.loading_in_doubt = False
    before = server.queue_remaining
    server.queue_remaining = event.remaining
    server.queue_fell = before is not None and event.remaining < before
    if before is not None and server.queue_fell:
        server.epoch += 1
        is_ours = _takes_own_fall(server, at) and event.remaining == before - 1
        server.foreign_work_ended = server.foreign_work_ended or not is_ours
    if server.succeeded is not None and not event.remaining:
        server.succeeded.fall_expected = True


def _takes_own_fall(server: Server, at: float) -> bool:
    """Return once whether our own prompt may have made the queue shorter: history may overtake the frames.

    It may have left the queue while there was no connection. What leaves long after its success is foreign.
    """
    succeeded = server.succeeded
    if succeeded is None or succeeded.fall_expected:
        return False
    succeeded.fall_expected = True
    return succeeded.ended_at is None or at - succeeded.ended_at <= OWN_FALL_S


def _preflight_failed(event: events.PreflightFailed, server: Server, at: float) -> None:
    server.failures += 1


def _retry_due(event: events.RetryDue, server: Server, at: float) -> None:
    _reset_failures(server)
    server.streak = replace(server.streak, retry_due=True)


def _warm_requested(event: events.WarmRequested, server: Server, at: float) -> None:
    _reset_failures(server)
    server.streak, server.contention, server.limited_posts = NO_STREAK, NO_CONTENTION, 0
    server.epoch += 1


def _check_requested(event: events.CheckRequested, server: Server, at: float) -> None:
    server.epoch += 1


def _settings_changed(event: events.SettingsChanged, server: Server, at: float) -> None:
    """Forget all but an attempt in flight: the connection is new, and other keys may be asked for."""
    server.epoch += 1
    server.links, server.client_id, server.queue_remaining = 0, None, None
    server.check_kind, server.node_cursor, server.missing, server.needed = None, None, (), ()
    server.places, server.below = None, ()
    server.auto_executing = False
    server.streak, server.contention, server.limited_posts = NO_STREAK, NO_CONTENTION, 0
    server.loaded_at, server.warmed_at = None, NOT_WARMED
    _reset_failures(server)


def _note_sign_of_end(server: Server, at: float) -> None:
    server.gone_at = at if server.gone_at is None else server.gone_at


def _note_cut_off(server: Server) -> None:
    """Note that the process may have ended under our prompt in flight."""
    if server.open_attempt is not None:
        server.disconnect_count += 1
        server.open_attempt.cut_off = True


def _restarted(server: Server, at: float) -> None:
    """Handle a new process of the server, with an empty queue and an empty cache.

    The next check counts the models that went with the earlier process.
    """
    _note_cut_off(server)
    note_new_process(server, at)
    server.disconnect_count += 1
    server.process_ended, server.process_went = True, True
    server.auto_executing, server.places = False, None
    _count_own_loading(server)
    _count_unconfirmed_success(server)
    _reset_failures(server)


def _count_own_loading(server: Server) -> None:
    """Count a process that was loading by itself and may have ended, once for each answer that reported the loading."""
    if server.state is State.AUTO_EXECUTING and not server.own_loading_lost:
        server.own_loading_lost = True
        server.streak = server.streak.extended(Reason.WARM_UP_ENDS_SERVER)


def _count_unconfirmed_success(server: Server) -> None:
    """Count a process that may have ended after our prompt's success, before a check has confirmed the models."""
    if server.succeeded is not None and not server.succeeded.judged:
        server.warmed_at = _without(server.warmed_at, (server.succeeded.workflow,))
        server.succeeded = None
        server.streak = server.streak.extended(Reason.WARM_UP_ENDS_SERVER)


def _reset_failures(server: Server) -> None:
    """Forget the results of earlier attempts."""
    server.failures, server.ineffective_warmups, server.succeeded = 0, 0, None


REDUCERS: Mapping[type, Reducer] = {
    **PROMPT_REDUCERS,
    **RESTART_REDUCERS,
    events.CheckAnswered: _check_answered,
    events.CheckUnusable: _check_unusable,
    events.NotAnswering: _not_answering,
    events.Answering: _answering,
    events.LinkOpened: _link_opened,
    events.LinkLost: _link_lost,
    events.CacheReported: _cache_reported,
    events.QueueSeen: _queue_seen,
    events.PreflightFailed: _preflight_failed,
    events.RetryDue: _retry_due,
    events.WarmRequested: _warm_requested,
    events.CheckRequested: _check_requested,
    events.SettingsChanged: _settings_changed,
}
"""Events that are not listed change nothing."""
