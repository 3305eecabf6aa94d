"""HTTP clients of the measured process: readers of the event stream, and repeated requests.

They are asyncio protocols without an HTTP library, so that a thousand of them in one process are not the bottleneck.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from typing_extensions import override

from benchmarks.processes import Child

EVENT = b"event: "
IDLE_CORES = 0.15
IDLE_SAMPLE_S = 0.5
LENGTH = b"content-length:"
BUFFER = 2**20


class EventReader(asyncio.Protocol):
    """Counts events, and calls `on_events` with the number received at once. The first bytes set `opened`."""

    def __init__(self, on_events: Callable[[int], None]) -> None:
        self.events = 0
        self.opened = asyncio.Event()
        self.ended = False
        self._on_events = on_events
        self._tail = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    @override
    def data_received(self, data: bytes) -> None:
        self.opened.set()
        count = (self._tail + data).count(EVENT)
        self._tail = data[1 - len(EVENT) :]
        self.events += count
        self._on_events(count)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


@asynccontextmanager
async def reading(
    count: int, host: str, port: int, on_events: Callable[[int], None] = lambda _: None
) -> AsyncIterator[list[EventReader]]:
    """Open `count` streams of /api/events; yield their readers when all are open."""
    loop = asyncio.get_running_loop()
    connections = [await loop.create_connection(lambda: EventReader(on_events), host, port) for _ in range(count)]
    readers = [reader for _, reader in connections]
    for reader in readers:
        await reader.opened.wait()
    try:
        yield readers
    finally:
        for transport, _ in connections:
            transport.abort()


async def wait_idle(child: Child, timeout_s: float = 60.0) -> None:
    """Wait until the process uses almost no processor time, which means that its start is complete."""
    async with asyncio.timeout(timeout_s):
        used, before = IDLE_CORES, child.cpu_s()
        while used >= IDLE_CORES * IDLE_SAMPLE_S:
            await asyncio.sleep(IDLE_SAMPLE_S)
            used, before = child.cpu_s() - before, child.cpu_s()


class Requester(asyncio.BufferedProtocol):
    """Requests a path again after each response; `responses` counts them."""

    def __init__(self, path: str) -> None:
        self.responses = 0
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
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
            self.responses += 1
            self._transport.write(self._request)

    def _body_left(self, nbytes: int) -> int:
        """Return the bytes still to come of a response whose whole head is within the first `nbytes` bytes."""
        head, _, _ = bytes(self._buffer[: min(nbytes, 4096)]).partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = sum(int(line.removeprefix(LENGTH)) for line in lines if line.startswith(LENGTH))
        return len(head) + 4 + length - nbytes


async def requests_per_s(count: int, host: str, port: int, seconds: float, path: str) -> float:
    """Return the responses per second that `count` clients receive together for `path`."""
    loop = asyncio.get_running_loop()
    connections = [await loop.create_connection(lambda: Requester(path), host, port) for _ in range(count)]
    await asyncio.sleep(seconds / 10)
    before, began = sum(requester.responses for _, requester in connections), loop.time()
    await asyncio.sleep(seconds)
    rate = (sum(requester.responses for _, requester in connections) - before) / (loop.time() - began)
    for transport, _ in connections:
        transport.abort()
    return rate
