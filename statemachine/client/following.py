"""Follow the event stream over lost connections, without gaps and duplicates."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from statemachine.client.answers import EventAnswer, event_from
from statemachine.client.api import Block, DaemonApi, Query
from statemachine.client.errors import DaemonError, DaemonRefusedError
from statemachine.core.backoff import backoff
from statemachine.core.messages import Message, message

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
STABLE_S = 5.0
"""How long a stream must last before the reconnect pauses start over."""
SERVER_ERROR = 500

Notify = Callable[[Message], None]


class Absence:
    """How long the daemon has not answered. `notify` receives a message when it stops or resumes answering.

    An absence of more than `patience_s` is an error, and so is one before the first answer unless `waits_at_start`.
    """

    def __init__(self, patience_s: float | None, notify: Notify, *, waits_at_start: bool) -> None:
        self._patience_s = patience_s
        self._notify = notify
        self._may_wait = waits_at_start
        self._since: float | None = None

    def begin(self, error: DaemonError, now: float) -> None:
        """Note that the daemon does not answer. Raises the error if waiting would not help, or took too long."""
        if not self._may_wait or (isinstance(error, DaemonRefusedError) and error.status < SERVER_ERROR):
            raise error
        if self._since is None:
            self._since = now
            self._notify(message("cli.waiting", cause=error.what))
        if self._patience_s is not None and now - self._since >= self._patience_s:
            raise error

    def end(self) -> None:
        """Note that the daemon answers."""
        self._may_wait = True
        if self._since is not None:
            self._since = None
            self._notify(message("cli.back"))


async def follow(
    api: DaemonApi, since: int | None, query: Query, absence: Absence
) -> AsyncGenerator[EventAnswer, None]:
    """Yield the matching events after that number, or from now on; reconnect and continue after the last number."""
    loop, cursor, tries = asyncio.get_running_loop(), since, 0
    while True:
        opened = loop.time()
        try:
            async with aclosing(api.blocks(cursor, query)) as blocks:
                async for block in blocks:
                    absence.end()
                    event, cursor = _next(block, cursor)
                    if event is not None:
                        yield event
        except DaemonError as error:
            absence.begin(error, loop.time())
        except ValueError:
            absence.begin(api.not_comfywarm(), loop.time())
        tries = 0 if loop.time() - opened > STABLE_S else tries + 1
        await asyncio.sleep(backoff(tries, FIRST_PAUSE_S, LONGEST_PAUSE_S, random.random))


def _next(block: Block, cursor: int | None) -> tuple[EventAnswer | None, int | None]:
    """Return a block's event if it is new, and the number reached.

    A block with only a number opens the stream. A lower number than ours means that the journal was replaced.
    """
    if not block.data:
        return None, block.id if block.id is not None else cursor
    if block.event == "progress" or (block.id is not None and block.id <= (cursor or 0)):
        return None, cursor
    return event_from(block.data), block.id if block.id is not None else cursor
