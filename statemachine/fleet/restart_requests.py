"""Requests for restarts, and their cancellations, which are answered once the journal has stored them."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from statemachine.core import events
from statemachine.core.messages import Message, message
from statemachine.core.ports import Action, NotStoredError
from statemachine.core.restart import Restart, RestartStage
from statemachine.core.vocabulary import Reason
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.journal.port import JournalUnavailableError

STORE_S = 10.0
"""How long the journal may take, or the start of the server's task: a client waits for the answer."""

LOOK_S = 0.1
"""Pause between two looks whether the task has started."""


class Startable(Protocol):
    """The task of a server."""

    @property
    def has_started(self) -> bool:
        """Whether events are handled as they are posted."""
        ...


async def wait_started(find: Callable[[], Startable | None], context: ServerContext, action: Action) -> None:
    """Wait until a request can be stored: the server's task has started. A reload replaces it by another one.

    Raises NotStoredError.
    """
    if action is not Action.RESTART and not _is_draining(context.server.restart):
        return
    until = loop_time() + STORE_S
    while (task := find()) is not None and not task.has_started:
        if loop_time() >= until:
            raise _not_stored(context, action, message("server_not_started"))
        await asyncio.sleep(LOOK_S)


async def post_stored(context: ServerContext, action: Action, event: events.OperatorEvent) -> None:
    """Post the event. If it opens a restart, or ends one whose hook has not begun, return once that is stored.

    Raises NotStoredError. The server is then not restarted.
    """
    if action is Action.RESTART and not context.fleet.journal.healthy:
        raise _not_stored(context, action, context.fleet.journal.trouble)
    before = context.server.restart
    context.post(event)
    restart = context.server.restart
    is_asked_for = action is Action.RESTART and _is_draining(restart)
    is_cancelled = _is_draining(before) and restart is not before
    if restart is None or not (is_asked_for or is_cancelled):
        return
    if (trouble := await _trouble_of_storing(context, restart)) is None:
        return
    if context.server.restart is restart and restart.is_open:
        unrecorded = message("hook_unrecorded", cause=trouble)
        context.post(events.RestartWithheld(Reason.JOURNAL_UNAVAILABLE, unrecorded))
    raise _not_stored(context, action, trouble)


def _is_draining(restart: Restart | None) -> bool:
    return restart is not None and restart.stage is RestartStage.DRAINING


async def _trouble_of_storing(context: ServerContext, restart: Restart) -> Message | None:
    """Return why the restart is not stored, None once it is."""
    try:
        async with asyncio.timeout(STORE_S):
            await context.fleet.journal.record_restart(restart)
    except JournalUnavailableError as error:
        return error.message
    except TimeoutError:
        return message("journal_slow", seconds=STORE_S)
    return None


def _not_stored(context: ServerContext, action: Action, trouble: Message) -> NotStoredError:
    code = "restart_not_stored" if action is Action.RESTART else "cancellation_not_stored"
    return NotStoredError(message(code, server=context.config.name, cause=trouble))
