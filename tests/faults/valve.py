"""A TCP proxy whose connections can become half-open: sent data is dropped silently."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

BLOCK = 65_536


class Valve:
    """Forward everything to `url` until closed. Within `async with`, `url` is its own address."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self._is_closed = False
        self.url = ""

    async def __aenter__(self) -> "Valve":
        self._server = await asyncio.start_server(self._accept, "0.0.0.0", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            connection.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def close(self) -> None:
        """Drop all data on open and new connections, which stay open."""
        self._is_closed = True
        self.drop_open_connections()

    def reopen(self) -> None:
        """Forward on new connections again; old ones stay dead."""
        self._is_closed = False

    def drop_open_connections(self) -> None:
        """Drop all data on the connections that are open now."""
        for connection in self._connections:
            connection.dead = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        connection = _Connection(writer, far_writer)
        connection.dead = self._is_closed
        self._connections.add(connection)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(connection.forward(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class _Connection:
    """Both directions of one connection."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.dead = False
        self._writers = (near, far)

    async def forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Forward data; once dead, drop it and the end of the stream."""
        with suppress(ConnectionError):
            while data := await source.read(BLOCK):
                if not self.dead:
                    sink.write(data)
                    await sink.drain()
        if not self.dead:
            self.abort()

    def abort(self) -> None:
        """Abort both sides."""
        for writer in self._writers:
            writer.transport.abort()
