"""How often /api/status is answered while the fleet behind it changes."""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator

import aiohttp

from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.outsiders import answers_a_second, at_rest
from benchmarks.processes import baseline, daemon
from benchmarks.stand_in import StandIn, status_frame

SERVERS = 1_000
ASKERS = 8
SECONDS = 4.0
CHANGES_A_SECOND = 50
CHANGES_A_JOB = 3
"""A user's job that ends makes a loaded server unknown, checking, and loaded again."""
WITHIN_S = 60.0

STATUS = Figure(
    "status_requests", "GET /api/status at 1,000 servers, 50 changes of state a second", "requests/s",
    "an aiohttp handler that returns the same bytes, constant", 0.8, "higher",
)  # fmt: skip


def jobs() -> Iterator[tuple[int, bytes]]:
    """Servers in turn, the frames by which a user's job begins and ends on each."""
    for number in itertools.cycle(range(SERVERS)):
        yield number, status_frame(1) + status_frame(0)


async def _settled(host: str, port: int) -> bytes:
    """The answer as soon as every server is loaded."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(WITHIN_S):
        while True:
            async with session.get(f"http://{host}:{port}/api/status") as response:
                if (await response.json())["states"] == {"loaded": SERVERS}:
                    return await response.read()
            await asyncio.sleep(0.1)


async def _ours(_: Options) -> Measured:
    async with StandIn(SERVERS).listening() as fleet, daemon(fleet.urls) as ours:
        await _settled(ours.host, ours.port)
        await at_rest(ours.child)
        changing = asyncio.create_task(fleet.pace(jobs(), CHANGES_A_SECOND / CHANGES_A_JOB, 2 * SECONDS))
        rate = await answers_a_second(ASKERS, ours.host, ours.port, SECONDS, path="/api/status")
        changing.cancel()
        return {STATUS.id: rate}


async def _constant(_: Options) -> Measured:
    async with StandIn(SERVERS).listening() as fleet, daemon(fleet.urls) as ours:
        body = await _settled(ours.host, ours.port)
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        async with baseline("status", {"file": file.name}) as child:
            port = (await child.said())["port"]
            return {STATUS.id: await answers_a_second(ASKERS, "127.0.0.1", port, SECONDS, path="/api/status")}


CASE = Case((STATUS,), _ours, _constant)
