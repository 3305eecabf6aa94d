"""The time from a server's success frame to its `loaded` event at a reader, with the check.

The fleet has 1,000 servers, whose monitor plug-ins send frames throughout.
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

from benchmarks.clients import wait_idle
from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.processes import baseline, daemon
from benchmarks.stand_in import StandIn, status_frame, text_frame

SAMPLES = 300
SAMPLE_INTERVAL_S = 0.05
PROMPT_RUNS_S = 6.5 * SAMPLE_INTERVAL_S
"""How long a prompt runs. It ends between two starts, because the POST of another would wait for the disk."""
OTHER_FRAMES_PER_S = 1_000
TIMEOUT_S = 120.0
LIMITS = {"max_warming": 100, "max_warming_per_host": 100}
LOADED = re.compile(rb'"server":"([^"]+)"[^\n]*?"to":"loaded"')
MONITOR = text_frame("crystools.monitor", {"cpu_utilization": 13.4, "gpus": [{"gpu_utilization": 97}]})

P50 = Figure(
    "success_to_loaded_p50", "Success frame to `loaded` event at an SSE reader, median", "ms",
    "frame, GET, write to the reader", 1.5, "lower",
)  # fmt: skip
P99 = Figure(
    "success_to_loaded_p99", "Success frame to `loaded` event at an SSE reader, 99th percentile", "ms",
    "frame, GET, write to the reader", 2.0, "lower",
)  # fmt: skip


class LoadedReader(asyncio.Protocol):
    """A reader of /api/events that calls `loaded` with the name of each server that becomes loaded."""

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


class LatencyMeter:
    """Sends success frames one by one, and measures the time until each server is reported loaded."""

    def __init__(self, fleet: StandIn) -> None:
        self._fleet = fleet
        self._names = [url.removeprefix("http://") for url in fleet.urls]
        self._sent_at: dict[str, float] = {}
        self._over = asyncio.Event()
        self.took_ms: list[float] = []

    def succeed(self, number: int, prompt_id: str) -> None:
        """Load everything on the server and send the success frame of its prompt."""
        self._fleet.loaded[number] = True
        frame = text_frame("execution_success", {"prompt_id": prompt_id, "timestamp": 0})
        self._sent_at[self._names[number]] = time.perf_counter()
        self._fleet.sockets[number].send(frame)

    def loaded(self, name: str) -> None:
        """Record the time since the success frame of this server."""
        if name in self._sent_at:
            self.took_ms.append((time.perf_counter() - self._sent_at.pop(name)) * 1_000)
            if len(self.took_ms) >= SAMPLES:
                self._over.set()

    async def measured(self) -> Measured:
        """Wait for enough samples; return their percentiles."""
        async with asyncio.timeout(TIMEOUT_S):
            await self._over.wait()
        cuts = statistics.quantiles(self.took_ms, n=100)
        return {P50.id: cuts[49], P99.id: cuts[98]}


@asynccontextmanager
async def _reading(port: int, watch: LatencyMeter) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: LoadedReader(watch.loaded), "127.0.0.1", port)
    try:
        yield
    finally:
        transport.abort()


@asynccontextmanager
async def _background_frames(fleet: StandIn, servers: int) -> AsyncIterator[None]:
    frames = ((number, MONITOR) for number in itertools.cycle(range(servers)))
    talking = asyncio.create_task(fleet.pace(frames, OTHER_FRAMES_PER_S, TIMEOUT_S))
    try:
        yield
    finally:
        talking.cancel()


async def _ours(options: Options) -> Measured:
    """End a user's job on one server after the other, each of which is then cold and warmed."""
    fleet = StandIn(options.servers)
    watch, loop = LatencyMeter(fleet), asyncio.get_running_loop()

    def prompted(number: int, body: dict[str, Any]) -> None:
        loop.call_later(PROMPT_RUNS_S, watch.succeed, number, body["prompt_id"])

    fleet.on_prompt = prompted
    async with fleet.listening(), daemon(fleet.urls, {"limits": LIMITS}) as ours:
        await fleet.wait_checked(options.servers, TIMEOUT_S)
        await wait_idle(ours.child)
        async with _reading(ours.port, watch), _background_frames(fleet, options.servers):
            for number in itertools.islice(itertools.cycle(range(options.servers)), SAMPLES):
                fleet.loaded[number] = False
                fleet.sockets[number].send(status_frame(1) + status_frame(0))
                await asyncio.sleep(SAMPLE_INTERVAL_S)
            return await watch.measured()


async def _baseline(options: Options) -> Measured:
    async with StandIn(options.servers).listening() as fleet, baseline("latency", {"urls": fleet.urls}) as child:
        port = (await child.read_line())["port"]
        await fleet.wait_connected(options.servers, TIMEOUT_S)
        await wait_idle(child)
        watch = LatencyMeter(fleet)
        async with _reading(port, watch), _background_frames(fleet, options.servers):
            for number in itertools.islice(itertools.cycle(range(options.servers)), SAMPLES):
                watch.succeed(number, "baseline")
                await asyncio.sleep(SAMPLE_INTERVAL_S)
            return await watch.measured()


CASE = Case((P50, P99), _ours, _baseline)
