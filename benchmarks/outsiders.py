"""Those who ask the measured process: readers of the event stream, and askers of one path, again and again.

They are protocols on the bare transports: one process plays a thousand of them, and must not be the bottleneck.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from typing_extensions import override

from benchmarks.processes import Child

EVENT = b"event: "
REST_CORES = 0.15
REST_LOOK_S = 0.5
LENGTH = b"content-length:"
BUFFER = 2**20


class EventReader(asyncio.Protocol):
    """Counts the events that come; `heard` is told how many came at once. The first bytes set `opened`."""

    def __init__(self, heard: Callable[[int], None]) -> None:
        self.events = 0
        self.opened = asyncio.Event()
        self.ended = False
        self._heard = heard
        self._tail = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    @override
    def data_received(self, data: bytes) -> None:
        self.opened.set()
        came = (self._tail + data).count(EVENT)
        self._tail = data[1 - len(EVENT) :]
        self.events += came
        self._heard(came)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


@asynccontextmanager
async def reading(
    count: int, host: str, port: int, heard: Callable[[int], None] = lambda _: None
) -> AsyncIterator[list[EventReader]]:
    """So many readers of /api/events, all of whose streams are open."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: EventReader(heard), host, port) for _ in range(count)]
    readers = [reader for _, reader in made]
    for reader in readers:
        await reader.opened.wait()
    try:
        yield readers
    finally:
        for transport, _ in made:
            transport.abort()


async def at_rest(child: Child, within_s: float = 60.0) -> None:
    """Return once the process does next to nothing: a start is over when the last question has been asked."""
    async with asyncio.timeout(within_s):
        used, before = REST_CORES, child.cpu_s()
        while used >= REST_CORES * REST_LOOK_S:
            await asyncio.sleep(REST_LOOK_S)
            used, before = child.cpu_s() - before, child.cpu_s()


class Asker(asyncio.BufferedProtocol):
    """Asks for a path, and again as soon as the answer is there; `answers` counts them."""

    def __init__(self, path: str, headers: str = "") -> None:
        self.answers = 0
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode()
        self._buffer = memoryview(bytearray(BUFFER))
        self._left = 0
        self._transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        self._left = self._left - nbytes if self._left else self._body_left(nbytes)
        if self._left == 0:
            self.answers += 1
            self._transport.write(self._request)

    def _body_left(self, nbytes: int) -> int:
        """Of an answer whose head, all of it, and so many bytes in all have come."""
        head, _, _ = bytes(self._buffer[: min(nbytes, 4096)]).partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = sum(int(line.removeprefix(LENGTH)) for line in lines if line.startswith(LENGTH))
        return len(head) + 4 + length - nbytes


async def answers_a_second(count: int, host: str, port: int, seconds: float, **asked: Any) -> float:
    """What so many askers get together; `asked` is what an Asker takes."""
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Asker(**asked), host, port) for _ in range(count)]
    await asyncio.sleep(seconds / 10)
    before, began = sum(asker.answers for _, asker in made), loop.time()
    await asyncio.sleep(seconds)
    rate = (sum(asker.answers for _, asker in made) - before) / (loop.time() - began)
    for transport, _ in made:
        transport.abort()
    return rate
