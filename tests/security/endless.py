"""A server in a thread whose responses never end."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PIECE = 256 * 1024


def _answer(connection: socket.socket, head: bytes, piece: bytes) -> None:
    with connection, suppress(OSError):
        connection.recv(PIECE)
        connection.sendall(head)
        while True:
            connection.sendall(piece * (PIECE // len(piece)))


def _serve(listener: socket.socket, head: bytes, piece: bytes) -> None:
    with suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_answer, args=[connection, head, piece], daemon=True).start()


@contextmanager
def endless_responses(head: bytes, piece: bytes) -> Iterator[str]:
    """Yield the URL of a server that sends `head` and then `piece` without end, as fast as its socket takes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=[listener, head, piece], daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
