"""One /ws connection of websockets' that hands texts over as they are read.

The library's way is a parser in Python, a queue, and a task that is woken for every frame. Here a text that comes in
one frame of less than 64 KiB is taken out of the stream before the library sees it. All else is the library's: the
handshake, pings, the end, larger frames, fragments, previews (binary), and text that is no UTF-8 or comes before
somebody listens. Only `data_received` is overridden, asyncio's; a test tells should it no longer be called so.

Measured over 1,000 sockets on uvloop: a frame of a plug-in's chatter costs 1.9 µs in place of 3.8 µs with the
library's parser alone, and 4 µs to 9 µs with its queue (`benchmarks/frames.py`).
"""

import websockets
from typing_extensions import override
from websockets.asyncio.client import ClientConnection
from websockets.protocol import State

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.transport import Receive
from statemachine.settings.masking import Mask

WHOLE_TEXT = 0x81
"""How a frame begins that is a whole text: FIN and the opcode (RFC 6455, 5.2)."""

BEGINNINGS = (0x1, 0x2)
"""The opcodes with which a message begins: text and binary."""

LARGEST_KEPT = 4 + 0xFFFF
"""Bytes, head included. A frame that may be larger is passed on as it comes."""

SHORT, MIDDLE, LONG = 2, 4, 10
"""Bytes of a head, by how the length is written."""

IN_MIDDLE, IN_LONG = 126, 127
"""What the second byte says of that; less is the length itself, more says that the frame is masked."""

END_OF_HEAD = b"\r\n\r\n"


class EagerConnection(ClientConnection):
    """Whoever listens is called by the transport, outside of any task."""

    _receive: Receive | None = None
    _fault: Exception | None = None
    _head_so_far = b""
    """The last bytes of it: its end may come in two parts."""
    _begun = b""
    """The beginning of a frame whose rest is still to come."""
    _passing = 0
    """Bytes to come of a frame whose beginning was passed on."""
    _behind = 0
    """Messages that the library holds, in part or whole: what comes after them must not overtake them."""
    _open = False
    """Whether what comes next is a frame: asking the library takes as long as measuring one."""

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
    def data_received(self, data: bytes) -> None:
        if not self._open and self.state is State.CONNECTING:
            data = self._shake_hands(data)
        if self._passing:
            data = self._pass_rest(data)
        if self._begun:
            data, self._begun = self._begun + data, b""
        if data:
            self._take_frames(data)

    def _shake_hands(self, data: bytes) -> bytes:
        """Pass on the answer to the handshake; the frames that follow it."""
        seen = self._head_so_far + data
        end = seen.find(END_OF_HEAD)
        after = len(seen) if end < 0 else end + len(END_OF_HEAD)
        self._head_so_far = seen[1 - len(END_OF_HEAD) :]
        rest = seen[after:]
        self._pass_on(data[: len(data) - len(rest)])
        return rest

    def _pass_rest(self, data: bytes) -> bytes:
        """Pass on what belongs to the frame under way; what follows it."""
        part, rest = data[: self._passing], data[self._passing :]
        self._passing -= len(part)
        self._pass_on(part)
        return rest

    def _take_frames(self, data: bytes) -> None:
        """`data` begins where a frame begins."""
        at, end = 0, len(data)
        while at < end and self._open:
            head, size = _measure(data, at)
            if not head or (at + size > end and size <= LARGEST_KEPT):
                self._begun = data[at:]
                return
            if data[at] == WHOLE_TEXT and self._receive is not None and not self._behind and size <= LARGEST_KEPT:
                self._hand_over(data, at, head, size)
            else:
                self._pass_frame(data[at : at + size], size)
            at += size
        if at < end:
            super().data_received(data[at:])

    def _hand_over(self, data: bytes, at: int, head: int, size: int) -> None:
        """A fault ends `listen`: the frame itself wakes it. So the library sees, and refuses, what is no UTF-8."""
        assert self._receive is not None  # noqa: S101 - somebody listens
        try:
            self._receive(str(data[at + head : at + size], "utf-8"))
        except Exception as error:
            self._receive, self._fault = None, error
            self._pass_frame(data[at : at + size], size)

    def _pass_frame(self, begun: bytes, size: int) -> None:
        self._behind += begun[0] & 0xF in BEGINNINGS
        self._passing = size - len(begun)
        self._pass_on(begun)

    def _pass_on(self, data: bytes) -> None:
        """To the library. Only what it reads there opens the connection, and may end it."""
        super().data_received(data)
        self._open = self.state is State.OPEN


def _measure(data: bytes, at: int) -> tuple[int, int]:
    """Bytes of the head of the frame that begins there, and of it all; zeros while the head is not all there.

    A frame that says that it is masked, which a server's must not be, is measured as two bytes: by them the library
    refuses it.
    """
    there = len(data) - at
    if there < SHORT:
        return 0, 0
    length = data[at + 1]
    if length < IN_MIDDLE:
        return SHORT, SHORT + length
    if length == IN_MIDDLE:
        return (MIDDLE, MIDDLE + (data[at + 2] << 8 | data[at + 3])) if there >= MIDDLE else (0, 0)
    if length == IN_LONG:
        return (LONG, LONG + int.from_bytes(data[at + 2 : at + LONG], "big")) if there >= LONG else (0, 0)
    return SHORT, SHORT


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
