"""A /ws connection that passes each text to a receiver as soon as it is read."""

import websockets
from typing_extensions import override
from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.transport import Receive, Socket
from statemachine.core.messages import message
from statemachine.settings.masking import Mask


class TextConnection(ClientConnection):
    """Call the receiver from `process_event`, instead of waking a task for each frame.

    The library's queue holds only fragmented messages, and texts that arrive before `listen` is called. It stops
    reading from the socket when it is full.
    """

    _receive: Receive | None = None
    _error: Exception | None = None
    """The error that `_receive` raised."""
    _queued = 0
    """Messages in the library's queue. A later text must wait for them, so that the order is kept."""

    async def listen(self, receive: Receive) -> None:
        """Pass every text to `receive`. Raises ConnectionClosed, or what `receive` raised."""
        self._receive = receive
        try:
            while True:
                message = await self.recv()
                self._queued -= 1
                if self._error is not None:
                    raise self._error
                if isinstance(message, str):
                    receive(message)
        finally:
            self._receive = None

    @override
    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
            if event.fin and (event.opcode is Opcode.BINARY or self._deliver(event.data)):
                return
            self._queued += 1
        super().process_event(event)

    def _deliver(self, data: bytes | bytearray | memoryview) -> bool:
        """Pass a whole text to the receiver; return False if the text must be queued instead.

        After an error the queued text wakes `listen`, which raises the error. For a text that is not UTF-8, `recv`
        closes the connection first.
        """
        if self._receive is None or self._queued:
            return False
        try:
            self._receive(str(data, "utf-8"))
        except Exception as error:
            self._receive, self._error = None, error
            return False
        return True


class WebSocket(Socket):
    """The Socket over a TextConnection. It hides the secrets that `mask` knows in everything received."""

    def __init__(self, connection: TextConnection, mask: Mask) -> None:
        self._connection = connection
        self._mask = mask

    @override
    async def listen(self, receive: Receive) -> None:
        mask = self._mask
        try:
            await self._connection.listen((lambda text: receive(mask.text(text))) if mask else receive)
        except websockets.ConnectionClosed as error:
            reason = " ".join(str(error).split())
            raise NotAnsweringError(message("ws_closed", error=mask.text(reason))) from error

    @override
    async def close(self) -> None:
        await self._connection.close()
