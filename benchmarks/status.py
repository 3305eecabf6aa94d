"""Requests per second of /api/status while the states of the fleet change."""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator

import aiohttp

from benchmarks.clients import requests_per_s, wait_idle
from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.processes import baseline, daemon
from benchmarks.stand_in import StandIn, status_frame

SERVERS = 1_000
CLIENTS = 8
SECONDS = 4.0
TRANSITIONS_PER_S = 50
TRANSITIONS_PER_JOB = 3
"""The end of a user's job makes a loaded server unknown, checking, and loaded again."""
TIMEOUT_S = 60.0

STATUS = Figure(
    "status_requests", "GET /api/status with 1,000 servers and 50 transitions per second", "requests/s",
    "an aiohttp handler that returns the same bytes", 0.8, "higher",
)  # fmt: skip


def jobs() -> Iterator[tuple[int, bytes]]:
    """Yield the frames of the start and end of a user's job, for one server after the other."""
    for number in itertools.cycle(range(SERVERS)):
        yield number, status_frame(1) + status_frame(0)


async def _settled(host: str, port: int) -> bytes:
    """Return the response when every server is loaded."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(TIMEOUT_S):
        while True:
            async with session.get(f"http://{host}:{port}/api/status") as response:
                if (await response.json())["states"] == {"loaded": SERVERS}:
                    return await response.read()
            await asyncio.sleep(0.1)


async def _ours(_: Options) -> Measured:
    async with StandIn(SERVERS).listening() as fleet, daemon(fleet.urls) as ours:
        await _settled(ours.host, ours.port)
        await wait_idle(ours.child)
        changing = asyncio.create_task(fleet.pace(jobs(), TRANSITIONS_PER_S / TRANSITIONS_PER_JOB, 2 * SECONDS))
        rate = await requests_per_s(CLIENTS, ours.host, ours.port, SECONDS, path="/api/status")
        changing.cancel()
        return {STATUS.id: rate}


async def _baseline(_: Options) -> Measured:
    async with StandIn(SERVERS).listening() as fleet, daemon(fleet.urls) as ours:
        body = await _settled(ours.host, ours.port)
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        async with baseline("status", {"file": file.name}) as child:
            port = (await child.read_line())["port"]
            return {STATUS.id: await requests_per_s(CLIENTS, "127.0.0.1", port, SECONDS, path="/api/status")}


CASE = Case((STATUS,), _ours, _baseline)
