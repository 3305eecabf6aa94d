"""A TCP proxy whose connections can go half-open: what is sent vanishes, and nobody is told."""

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

BLOCK = 65_536


class Valve:
    """Forwards everything to `url` until it is shut. Use `async with`; `url` is then its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections: set[_Connection] = set()
        self._is_shut = False
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

    def shut(self) -> None:
        """Nothing passes any more, on the open connections and on new ones; all stay open."""
        self._is_shut = True
        self.forget_the_open()

    def reopen(self) -> None:
        """New connections pass again; those that were open stay dead."""
        self._is_shut = False

    def forget_the_open(self) -> None:
        """Nothing passes any more on the connections that are open now."""
        for connection in self._connections:
            connection.dead = True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        connection = _Connection(writer, far_writer)
        connection.dead = self._is_shut
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
        """Pass everything on; once dead, swallow it, and the end too."""
        with suppress(ConnectionError):
            while data := await source.read(BLOCK):
                if not self.dead:
                    sink.write(data)
                    await sink.drain()
        if not self.dead:
            self.abort()

    def abort(self) -> None:
        """Drop both sides."""
        for writer in self._writers:
            writer.transport.abort()
