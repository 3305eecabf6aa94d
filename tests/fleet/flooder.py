"""A server in a thread that floods /ws, as fast as its socket takes it."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from websockets.utils import accept_key

MIB = 2**20
BLOCK = 256 * 1024
STATUS = b'{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": %d}}}}'
MONITOR = b'{"type": "crystools.monitor", "data": {"cpu_utilization": 5, "gpus": [{"vram": 1}, {"vram": 2}]}}'
LISTS = b'{"type":"status","data":[' + b"[]," * 80_000 + b"[]]}"


ERROR = b'{"type": "execution_error", "data": {"prompt_id": "p", "exception_message": "%s"}}'


def frame(first: int, payload: bytes) -> bytes:
    """Build a frame with this first byte."""
    size = len(payload)
    if size < 126:
        return bytes([first, size]) + payload
    return bytes([first]) + (struct.pack("!BH", 126, size) if size < 2**16 else struct.pack("!BQ", 127, size)) + payload


def block(*frames: bytes) -> bytes:
    """Repeat the frames up to about 256 KiB."""
    return b"".join(frames) * (BLOCK // sum(map(len, frames)))


FLOODS = {
    "texts": block(frame(0x81, MONITOR)),
    "empty-texts": block(frame(0x81, b"")),
    "queue-changes": block(frame(0x81, STATUS % 1), frame(0x81, STATUS % 0)),
    "pings": block(frame(0x89, b"x" * 125)),
    "pongs": block(frame(0x8A, b"")),
    "fragments": frame(0x01, b"{") + block(frame(0x00, b"x")) + frame(0x80, b"}"),
    "previews": frame(0x82, bytes(8 * MIB)),
    "long-texts": frame(0x81, b'{"type": "plugin", "data": "' + b"x" * (31 * MIB) + b'"}'),
    "many-values": frame(0x81, LISTS),
    "escapes": frame(0x81, ERROR % (b"%25" * 40_000)),
}


class Flooder:
    """Answers HTTP with 404, and /ws with a `status` frame and `data` without end once `begin` is set."""

    def __init__(self, data: bytes) -> None:
        self.begin = threading.Event()
        self._data = data
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Accept connections until the listening socket is closed."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def close(self) -> None:
        """Stop listening; the open connections end with their clients."""
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = connection.recv(BLOCK).decode()
            if not head.startswith("GET /ws"):
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
            upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            connection.sendall(f"{upgrade}Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n".encode())
            connection.sendall(frame(0x81, STATUS % 0))
            self.begin.wait()
            while True:
                connection.sendall(self._data)


@contextmanager
def flooding(data: bytes) -> Iterator[Flooder]:
    """Run a Flooder within the block."""
    flooder = Flooder(data)
    serving = threading.Thread(target=flooder.serve, daemon=True)
    serving.start()
    try:
        yield flooder
    finally:
        flooder.begin.set()
        flooder.close()
