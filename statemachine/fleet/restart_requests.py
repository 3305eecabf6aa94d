"""Requests for restarts, and their cancellations, which are answered once the journal has stored them."""

import asyncio

from statemachine.core import events
from statemachine.core.messages import Message, message
from statemachine.core.ports import NotStoredError
from statemachine.core.restart import Restart, RestartStage
from statemachine.core.vocabulary import Reason
from statemachine.fleet.context import ServerContext
from statemachine.journal.port import JournalUnavailableError

STORE_S = 10.0
"""How long the journal may take: a client waits for the answer."""


async def post_stored(context: ServerContext, event: events.OperatorEvent) -> None:
    """Post the event. If it opens a restart, or ends one whose hook has not begun, return once that is stored.

    Raises NotStoredError. The server is then not restarted.
    """
    if isinstance(event, events.RestartRequested) and not context.fleet.journal.healthy:
        raise _not_stored(context, event, context.fleet.journal.trouble)
    before = context.server.restart
    context.post(event)
    restart = context.server.restart
    is_asked_for = isinstance(event, events.RestartRequested) and _is_draining(restart)
    is_cancelled = _is_draining(before) and restart is not before
    if restart is None or not (is_asked_for or is_cancelled):
        return
    if (trouble := await _trouble_of_storing(context, restart)) is None:
        return
    if context.server.restart is restart and restart.is_open:
        unrecorded = message("hook_unrecorded", cause=trouble)
        context.post(events.RestartWithheld(Reason.JOURNAL_UNAVAILABLE, unrecorded))
    raise _not_stored(context, event, trouble)


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


def _not_stored(context: ServerContext, event: events.OperatorEvent, trouble: Message) -> NotStoredError:
    code = "restart_not_stored" if isinstance(event, events.RestartRequested) else "cancellation_not_stored"
    return NotStoredError(message(code, server=context.config.name, cause=trouble))
