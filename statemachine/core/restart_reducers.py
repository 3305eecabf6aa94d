"""How the events of a restart change a server's memory."""

from collections.abc import Mapping

from statemachine.core import events
from statemachine.core.prompt_reducers import Reducer
from statemachine.core.restart import Restart, RestartCause, RestartStage
from statemachine.core.server import NOT_WARMED, Server
from statemachine.core.vocabulary import Reason, State

NOT_RESTARTABLE = frozenset({State.PAUSED, State.DRAINING, State.RESTARTING})


def _restart_requested(event: events.RestartRequested, server: Server, at: float) -> None:
    """Open a restart, unless one is open or the request is an earlier one again.

    A person's request also replaces a restart whose server has returned, and may never be warm.
    """
    before = server.restart
    if server.state in NOT_RESTARTABLE or (before and before.id == event.id):
        return
    if server.open_restart is not None and event.cause is not RestartCause.OPERATOR:
        return
    server.away_since_request = server.consecutive_failures >= server.reachability.fall
    opened = Restart(event.id, server.name, event.cause, at, event.by)
    server.restart = opened if before is None else opened.following(before)


def _hook_started(event: events.HookStarted, server: Server, at: float) -> None:
    """Forget what the end of the process would be counted against: this end is wanted.

    A server that did not answer when its hook began is back once it answers.
    """
    server.restart = event.restart
    server.process_went = server.consecutive_failures >= server.reachability.fall
    if server.open_attempt is not None:
        server.open_attempt.ended_by_hook = True
    server.succeeded, server.loaded_at, server.warmed_at = None, None, NOT_WARMED


def note_new_process(server: Server, at: float) -> None:
    """Count the time limit of our prompt from now on: a new process may have it from a restored queue."""
    if server.open_attempt is not None:
        server.open_attempt.last_progress_at = at


def _old_process_seen(event: events.OldProcessSeen, server: Server, at: float) -> None:
    server.process_went = False


def _server_returned(event: events.ServerReturned, server: Server, at: float) -> None:
    """Expect nothing of the process before. The next connection is the first one of this process."""
    if server.restart is not None:
        server.restart = server.restart.returned(at)
    note_new_process(server, at)
    server.epoch += 1
    server.links = int(server.client_id is not None)
    server.disconnect_count += 1
    server.process_ended, server.gone_at, server.places = True, None, None
    server.node_cursor, server.check_kind, server.auto_executing = None, None, False
    server.failures, server.ineffective_warmups, server.recheck_failures = 0, 0, 0


def _paused_hook_ended(event: events.PausedHookEnded, server: Server, at: float) -> None:
    if server.open_restart is not None:
        cancelled = RestartStage.CANCELLED
        server.restart = server.open_restart.ended(cancelled, Reason.PAUSE_REQUESTED, event.message, at)


RESTART_REDUCERS: Mapping[type, Reducer] = {
    events.RestartRequested: _restart_requested,
    events.HookStarted: _hook_started,
    events.OldProcessSeen: _old_process_seen,
    events.ServerReturned: _server_returned,
    events.PausedHookEnded: _paused_hook_ended,
}
