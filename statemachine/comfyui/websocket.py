"""One /ws connection of websockets' that hands its messages over at once.

The library's way, a queue that a task waits for, wakes the task for every frame.
"""

import websockets
from typing_extensions import override
from websockets.asyncio.client import ClientConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.transport import Receive
from statemachine.settings.masking import Mask


class EagerConnection(ClientConnection):
    """Text that comes in one frame never enters the library's queue, previews (binary) are dropped before it.

    Handshake, pings, the end, fragments, text that is no UTF-8, and what comes before somebody listens are left to the
    library. `process_event` is its method for subclasses, but hardly documented: a test tells when it is no longer
    called. Against `async for` it takes in GAIN times as many frames a second.
    """

    _receive: Receive | None = None
    _fault: Exception | None = None
    _behind = 0
    """Messages that wait in the library's queue: what comes after them must not overtake them."""

    async def listen(self, receive: Receive) -> None:
        """Hand every text to `receive` until ConnectionClosed, or what `receive` raised, is raised."""
        self._receive = receive
        try:
            while True:
                message = await self.recv()
                self._behind -= 1
                if self._fault is not None:
                    raise self._fault
                if isinstance(message, str):
                    receive(message)
        finally:
            self._receive = None

    @override
    def process_event(self, event: Event) -> None:
        straight = self._receive is not None and not self._behind
        if straight and isinstance(event, Frame) and event.opcode is Opcode.TEXT and event.fin:
            self._hand_over(event)
        elif not _is_preview(event):
            self._leave_to_library(event)

    def _hand_over(self, frame: Frame) -> None:
        """A fault ends `listen`: the frame itself wakes it."""
        assert self._receive is not None  # noqa: S101 - somebody listens
        try:
            self._receive(str(frame.data, "utf-8"))
        except Exception as error:
            self._receive, self._fault = None, error
            self._leave_to_library(frame)

    def _leave_to_library(self, event: Event) -> None:
        self._behind += isinstance(event, Frame) and event.fin and event.opcode in DATA_OPCODES
        super().process_event(event)


def _is_preview(event: Event) -> bool:
    return isinstance(event, Frame) and event.opcode is Opcode.BINARY and event.fin


class WebSocket:
    """A connection as the client's Socket. Whatever comes in is freed of the secrets that `mask` knows."""

    def __init__(self, connection: EagerConnection, mask: Mask) -> None:
        self._connection = connection
        self._mask = mask

    async def listen(self, receive: Receive) -> None:
        """See Socket."""
        mask = self._mask
        try:
            await self._connection.listen((lambda text: receive(mask.text(text))) if mask else receive)
        except websockets.ConnectionClosed as error:
            said = " ".join(str(error).split())
            raise NotAnsweringError(f"the connection was closed ({mask.text(said)})") from error

    async def close(self) -> None:
        """See Socket."""
        await self._connection.close()
