"""The /ws connection of a server: one after another, each under a client id of its own.

ComfyUI forgets a socket when its client id is used again (transcript 08), so an id is never reused. The backoff starts
over only after a stable connection: the reconnect loop of `websockets` would connect 1,000 times a second to a server
that accepts and closes.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from loguru import logger

from statemachine.comfyui.errors import ComfyError, ConnectRefusedError, NotAnsweringError
from statemachine.comfyui.frames import Hide, decode
from statemachine.comfyui.transport import Socket, StreamTrouble
from statemachine.core import events
from statemachine.core.backoff import backoff
from statemachine.core.messages import message
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.i18n.render import sentence

FIRST_DELAY_S = 0.25

FLOOD_CODE = "ws_flood"
TROUBLES = {StreamTrouble.FLOOD: FLOOD_CODE, StreamTrouble.CUT: "ws_text_cut"}
"""The messages of troubles, which are also the names of their counters."""


async def keep_link(context: ServerContext) -> None:
    """Keep /ws connected until cancelled."""
    tries, failures = 0, _Failures()
    while True:
        opened, returns = loop_time(), context.returns
        try:
            await _one_connection(context, failures)
        except ComfyError as error:
            refused_after = returns if isinstance(error, ConnectRefusedError) else failures.refused_after
            failures = _Failures(context.returns, None if context.detail.link.connected else refused_after)
            context.note_trouble(error.message)
        context.detail.link.connected = False
        timing = context.fleet.settings.timing
        tries = 0 if loop_time() - opened >= timing.link_stable_s else tries + 1
        await context.redial.wait(backoff(tries, FIRST_DELAY_S, timing.link_backoff_max_s, context.fleet.clock.uniform))


class _Failures(NamedTuple):
    """The number of returns from restart hooks after which a dial has failed, and that before it was last refused.

    A return since then has reported the restart that the refusals show. It begins with a check and a dial.
    """

    failed_after: int | None = None
    refused_after: int | None = None


async def _one_connection(context: ServerContext, failures: _Failures) -> None:
    """Open a connection and listen until it ends. Raises ComfyError with the cause."""
    client_id = context.fleet.clock.new_id()
    socket = await context.transport.connect(client_id)
    try:
        await _listen(context, socket, client_id, failures)
    except ComfyError as error:
        if context.server.client_id == client_id:
            context.post(events.LinkLost(message("ws_failed", error=error.message)))
        raise
    finally:
        await _close(socket)


async def _listen(context: ServerContext, socket: Socket, client_id: str, failures: _Failures) -> None:
    """Listen, but not to a socket that opens and sends nothing: ComfyUI always sends `status` first."""
    timeout_s = context.fleet.settings.timing.http_timeout_s
    try:
        async with asyncio.timeout(timeout_s) as patience:
            receiver = _Receiver(context, client_id, failures, patience, socket.hide)
            await socket.listen(receiver.receive, receiver.report)
    except TimeoutError as error:
        raise NotAnsweringError(message("ws_silent", seconds=timeout_s)) from error


@dataclass(slots=True, eq=False)
class _Receiver:
    """Post the events of the frames. The first `status` frame opens the connection.

    A sign of a change counts on a connection whose first frame was lost, too.
    """

    context: ServerContext
    client_id: str
    failures: _Failures
    patience: asyncio.Timeout
    hide: Hide
    opened: bool = False

    def receive(self, frame: str) -> None:
        event = decode(frame, in_flight=self.context.server.open_attempt is not None, hide=self.hide)
        if event is None:
            return
        if not self.opened and isinstance(event, events.QueueSeen) and not self.patience.expired():
            self._open()
        if self.opened or isinstance(event, events.CacheReported):
            self.context.post(event)

    def report(self, trouble: StreamTrouble) -> None:
        """Count and show a trouble of the stream; log the first one of a kind, and then ever fewer."""
        context, code = self.context, TROUBLES.get(trouble)
        if code is not None:
            context.note_trouble(message(code))
            times = context.detail.count(code)
            if times & (times - 1) == 0:
                logger.warning("{}: {}", context.config.name, sentence(context.detail.link.trouble or message(code)))
        elif context.detail.link.trouble is not None and context.detail.link.trouble.code == FLOOD_CODE:
            context.detail.link.trouble = None

    def _open(self) -> None:
        self.patience.reschedule(None)
        self.opened = True
        link = self.context.detail.link
        link.connected, link.since, link.trouble = True, self.context.fleet.clock.now(), None
        link.connects += 1
        self.context.check.forget_cache_mode()
        self.context.client.forget_offers()
        failed_before, refused_before = (after == self.context.returns for after in self.failures)
        if refused_before:
            self.context.preflight_passed = frozenset()
            self.context.check.forget()
        self.context.post(events.LinkOpened(self.client_id, refused_before, failed_before))


async def _close(socket: Socket) -> None:
    with suppress(ComfyError):
        await socket.close()
