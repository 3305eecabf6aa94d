"""Restore what was saved of a server: its prompt in flight, the operator's pause, why it had failed, its restart."""

import asyncio
from collections.abc import Mapping

from statemachine.core.duties import WAITS, waiting_of
from statemachine.core.messages import message
from statemachine.core.pause import Pause
from statemachine.core.repetition import NO_STREAK, Streak
from statemachine.core.restart import RESTART_STATES, Restart, RestartStage
from statemachine.core.server import Attempt, Server
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.journal.port import JournalPort, JournalUnavailableError, SavedState

LATE_PAUSE_S = 2.0


async def restore(journal: JournalPort, contexts: Mapping[str, ServerContext]) -> None:
    """Restore each server's open attempt, pause and failure. Raises JournalUnavailableError."""
    saved_states = await journal.saved_states(contexts.keys())
    for name in contexts.keys() & saved_states.keys():
        contexts[name].known_before = True
        _restore_streak(contexts[name], saved_states[name].streak)
        _restore_attempt(contexts[name], saved_states[name].attempt)
        _restore_restart(contexts[name].server, saved_states[name].restart)
        _note_earlier_hook(contexts[name], saved_states[name].restart)
        contexts[name].note_ages()
        if saved_states[name].paused:
            _restore_pause(contexts[name].server, saved_states[name].pause)


async def restore_later(journal: JournalPort, contexts: Mapping[str, ServerContext]) -> None:
    """Restore open attempts and failures as soon as they can be read. By then the servers have states of their own."""
    saved_states: Mapping[str, SavedState] | None = None
    while saved_states is None:
        await asyncio.sleep(LATE_PAUSE_S)
        try:
            saved_states = await journal.saved_states(contexts.keys())
        except JournalUnavailableError:
            continue
    for name in contexts.keys() & saved_states.keys():
        if contexts[name].server.open_attempt is None:
            _restore_attempt(contexts[name], saved_states[name].attempt)
        restart = saved_states[name].restart
        if restart is not None and contexts[name].server.restart is None:
            contexts[name].server.restart = restart.abandoned(contexts[name].fleet.clock.now())
            contexts[name].ages.forget()
            _note_earlier_hook(contexts[name], restart)
            contexts[name].note_ages()
        if contexts[name].server.streak == NO_STREAK and contexts[name].server.loaded_at is None:
            _restore_streak(contexts[name], saved_states[name].streak)


def _restore_attempt(context: ServerContext, attempt: Attempt | None) -> None:
    """Restore an open attempt. The figures of its graph come from the workflow, if that still exists."""
    if attempt is None:
        return
    workflow = context.workflows.get(attempt.workflow)
    if workflow is not None:
        attempt.total_nodes = len(workflow.graph)
        attempt.cache_nodes = {node.node_id: node.key for node in workflow.cache_nodes}
    attempt.partly_refused = attempt.message.code == "partly_refused"
    attempt.last_progress_at = context.fleet.clock.now()
    context.server.attempt = attempt


def _restore_streak(context: ServerContext, streak: Streak) -> None:
    context.server.streak, context.failed_at = streak.resumed, loop_time()


def _restore_restart(server: Server, restart: Restart | None) -> None:
    """Resume an open restart. Its hook is never run again once it was recorded."""
    server.restart = restart
    if restart is None or restart.stage not in RESTART_STATES:
        return
    server.state, server.proved_by = RESTART_STATES[restart.stage], Source.DAEMON
    began = restart.stage is RestartStage.HOOK
    if server.attempt is not None:
        server.attempt.ended_by_hook = began
    server.reason = Reason.HOOK_STARTED if began else Reason.RESTART_REQUESTED
    server.waiting, server.message = WAITS[server.state], message("restart_before_start")


def _note_earlier_hook(context: ServerContext, restart: Restart | None) -> None:
    """Note that the hook may still run at another node, or has outlived the daemon that has begun it."""
    if restart is not None and restart.has_hook_begun:
        context.earlier_hook_until = loop_time() + context.config.restart.hook_timeout_s


def _restore_pause(server: Server, pause: Pause) -> None:
    server.state, server.reason, server.proved_by = State.PAUSED, Reason.PAUSE_REQUESTED, Source.OPERATOR
    server.pause, server.waiting = pause, waiting_of(pause)
    paused = pause.described(message("paused_before_start"))
    server.message = message("requested_by", what=paused, by=pause.by) if pause.by is not None else paused
