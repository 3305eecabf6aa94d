"""How long after a server's frame of success a reader of the event stream sees the server loaded, the check included.

A thousand servers stand behind, and their monitor plug-ins talk all the while.
"""

import asyncio
import itertools
import re
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

from typing_extensions import override

from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.outsiders import at_rest
from benchmarks.processes import baseline, daemon
from benchmarks.stand_in import StandIn, status_frame, text_frame

SAMPLES = 300
APART_S = 0.05
RUNS_S = 6.5 * APART_S
"""How long a prompt is seen to run: it ends while no other begins, whose POST would wait for the disk just then."""
OTHER_FRAMES_A_SECOND = 1_000
WITHIN_S = 120.0
LIMITS = {"max_warming": 100, "max_warming_per_host": 100}
LOADED = re.compile(rb'"server":"([^"]+)"[^\n]*?"to":"loaded"')
MONITOR = text_frame("crystools.monitor", {"cpu_utilization": 13.4, "gpus": [{"gpu_utilization": 97}]})

P50 = Figure(
    "success_to_loaded_p50", "From a success frame to `loaded` at an SSE reader, median", "ms",
    "frame, GET, SSE write", 1.5, "lower",
)  # fmt: skip
P99 = Figure(
    "success_to_loaded_p99", "From a success frame to `loaded` at an SSE reader, 99th percentile", "ms",
    "frame, GET, SSE write", 2.0, "lower",
)  # fmt: skip


class LoadedReader(asyncio.Protocol):
    """A reader of /api/events that tells which servers have become loaded."""

    def __init__(self, loaded: Callable[[str], None]) -> None:
        self._loaded = loaded
        self._rest = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")

    @override
    def data_received(self, data: bytes) -> None:
        whole, end, self._rest = (self._rest + data).rpartition(b"\n\n")
        for name in LOADED.findall(whole + end):
            self._loaded(name.decode())


class Stopwatch:
    """Sends successes one by one, and takes the time until each server is seen loaded."""

    def __init__(self, fleet: StandIn) -> None:
        self._fleet = fleet
        self._names = [url.removeprefix("http://") for url in fleet.urls]
        self._sent_at: dict[str, float] = {}
        self._over = asyncio.Event()
        self.took_ms: list[float] = []

    def succeed(self, number: int, prompt_id: str) -> None:
        """The server's prompt has succeeded, and everything is loaded."""
        self._fleet.loaded[number] = True
        frame = text_frame("execution_success", {"prompt_id": prompt_id, "timestamp": 0})
        self._sent_at[self._names[number]] = time.perf_counter()
        self._fleet.sockets[number].send(frame)

    def loaded(self, name: str) -> None:
        """The reader has seen it."""
        if name in self._sent_at:
            self.took_ms.append((time.perf_counter() - self._sent_at.pop(name)) * 1_000)
            if len(self.took_ms) >= SAMPLES:
                self._over.set()

    async def measured(self) -> Measured:
        """Once there are enough."""
        async with asyncio.timeout(WITHIN_S):
            await self._over.wait()
        cuts = statistics.quantiles(self.took_ms, n=100)
        return {P50.id: cuts[49], P99.id: cuts[98]}


@asynccontextmanager
async def _reading(port: int, watch: Stopwatch) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: LoadedReader(watch.loaded), "127.0.0.1", port)
    try:
        yield
    finally:
        transport.abort()


@asynccontextmanager
async def _chatter(fleet: StandIn, servers: int) -> AsyncIterator[None]:
    frames = ((number, MONITOR) for number in itertools.cycle(range(servers)))
    talking = asyncio.create_task(fleet.pace(frames, OTHER_FRAMES_A_SECOND, WITHIN_S))
    try:
        yield
    finally:
        talking.cancel()


async def _ours(options: Options) -> Measured:
    """One server after the other turns out to be cold when a user's job ends, and is warmed."""
    fleet = StandIn(options.servers)
    watch, loop = Stopwatch(fleet), asyncio.get_running_loop()

    def prompted(number: int, body: dict[str, Any]) -> None:
        loop.call_later(RUNS_S, watch.succeed, number, body["prompt_id"])

    fleet.on_prompt = prompted
    async with fleet.listening(), daemon(fleet.urls, {"limits": LIMITS}) as ours:
        await fleet.all_asked(options.servers, WITHIN_S)
        await at_rest(ours.child)
        async with _reading(ours.port, watch), _chatter(fleet, options.servers):
            for number in itertools.islice(itertools.cycle(range(options.servers)), SAMPLES):
                fleet.loaded[number] = False
                fleet.sockets[number].send(status_frame(1) + status_frame(0))
                await asyncio.sleep(APART_S)
            return await watch.measured()


async def _bare(options: Options) -> Measured:
    async with StandIn(options.servers).listening() as fleet, baseline("latency", {"urls": fleet.urls}) as child:
        port = (await child.said())["port"]
        await fleet.connected(options.servers, WITHIN_S)
        await at_rest(child)
        watch = Stopwatch(fleet)
        async with _reading(port, watch), _chatter(fleet, options.servers):
            for number in itertools.islice(itertools.cycle(range(options.servers)), SAMPLES):
                watch.succeed(number, "bare")
                await asyncio.sleep(APART_S)
            return await watch.measured()


CASE = Case((P50, P99), _ours, _bare)
