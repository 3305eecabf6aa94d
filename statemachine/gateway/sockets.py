"""The /ws connections of clients. A client that reads slowly loses previews first, then its connection."""

import asyncio
from collections import defaultdict, deque
from contextlib import suppress

from aiohttp import web

MAX_UNSENT = 8 * 1024 * 1024
"""Bytes that wait for a client; above it previews are dropped."""
MAX_UNSENT_TEXT = 2 * MAX_UNSENT
"""Bytes above which the client is disconnected."""
WRITE_TIMEOUT_S = 60.0

Key = tuple[str, str]
"""The client and its client id."""


class ClientSocket:
    """One /ws connection of a client. `send` never waits; `pump` writes."""

    def __init__(self, ws: web.WebSocketResponse) -> None:
        self._ws = ws
        self._unsent: deque[str | bytes] = deque()
        self._size = 0
        self._wake = asyncio.Event()
        self._is_closed = False

    def send(self, frame: str | bytes) -> None:
        """Queue a frame, or drop it if the client does not read."""
        if self._is_closed or (isinstance(frame, bytes) and self._size > MAX_UNSENT):
            return
        if self._size > MAX_UNSENT_TEXT:
            self.close()
            return
        self._unsent.append(frame)
        self._size += len(frame)
        self._wake.set()

    def close(self) -> None:
        """Drop what was not sent and end the connection."""
        self._is_closed = True
        self._unsent.clear()
        self._wake.set()

    async def pump(self) -> None:
        """Write frames until the connection ends."""
        with suppress(ConnectionError, TimeoutError):
            while not self._is_closed:
                await self._wake.wait()
                self._wake.clear()
                while self._unsent:
                    await self._write(self._unsent.popleft())
        self._is_closed = True

    async def _write(self, frame: str | bytes) -> None:
        self._size -= len(frame)
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            if isinstance(frame, str):
                await self._ws.send_str(frame)
            else:
                await self._ws.send_bytes(frame)


class Sockets:
    """All connections of clients."""

    def __init__(self) -> None:
        self._by_key: defaultdict[Key, set[ClientSocket]] = defaultdict(set)

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def add(self, key: Key, socket: ClientSocket) -> None:
        """Send frames for this client id to the connection, too."""
        self._by_key[key].add(socket)

    def remove(self, key: Key, socket: ClientSocket) -> None:
        """Send it nothing any more."""
        self._by_key[key].discard(socket)
        if not self._by_key[key]:
            del self._by_key[key]

    def has(self, key: Key) -> bool:
        """Return whether a connection is open under this client id."""
        return key in self._by_key

    def keys(self) -> list[Key]:
        """Return the clients with an open connection."""
        return list(self._by_key)

    def send(self, key: Key, frame: str | bytes) -> None:
        """Send a frame to every connection of this client id."""
        for socket in tuple(self._by_key.get(key, ())):
            socket.send(frame)

    def close_all(self) -> None:
        """End every connection, because the gateway stops."""
        for key in self.keys():
            for socket in tuple(self._by_key[key]):
                socket.close()
