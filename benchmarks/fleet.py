"""What a whole fleet costs: its start, and then, while nothing happens, its memory and its processor time.

A pair takes about two minutes at 10,000 servers: after its start the daemon learns what servers say of themselves, and
only then is it at rest. The script learns nothing, but asks again six seconds after its start at the earliest.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from tempfile import NamedTemporaryFile

import aiohttp
import orjson

from benchmarks.figures import Case, Figure, Measured, Options
from benchmarks.processes import Child, baseline, daemon
from benchmarks.stand_in import StandIn

START_WITHIN_S = 120.0
POLL_S = 0.05
SETTLE_S = 5.0
SCRIPT_SETTLES_S = 8.0
LEARNT_A_SECOND = 400
"""Of how many servers, at least, the daemon learns a second what they say of themselves."""
REST_S = 30.0
"""As long as from one ping of a socket to the next. Those of a fleet come in bursts, as it was dialled."""

MEMORY = Figure(
    "memory_per_server", "Memory for each supervised server, all included, idle", "KiB",
    "an idle connection of websockets, compression off, uvloop", 2.0, "lower",
)  # fmt: skip
VERDICTS = Figure(
    "first_verdicts", "A verdict on every server of the largest fleet, from the start of the process", "s",
    "a script that opens as many sockets and asks as many checks, as many at once", 1.3, "lower",
)  # fmt: skip
REST = Figure(
    "rest", "Processor at rest, all servers loaded, a check of each every 60 s", "cores",
    "a script with the same pings and checks", 1.5, "lower",
)  # fmt: skip

CHECKS_AT_ONCE = 64
"""The daemon's `limits.max_checks`."""


async def _ours(options: Options) -> Measured:
    smallest = await daemon_memory(1)
    async with StandIn(options.fleet).listening() as fleet:
        began = time.monotonic()
        async with ready_daemon(fleet.urls) as child:
            verdicts_s = time.monotonic() - began
            await asyncio.sleep(settling_s(options.fleet))
            memory = child.memory_bytes()
            return _measured(verdicts_s, memory - smallest, options.fleet - 1, await cores(child, REST_S))


async def _bare(options: Options) -> Measured:
    idle = await _bare_memory(options.fleet) - await _bare_memory(1)
    async with StandIn(options.fleet).listening() as fleet:
        began = time.monotonic()
        async with _script(fleet.urls, checks=True) as child:
            await child.said(START_WITHIN_S)
            verdicts_s = time.monotonic() - began
            await asyncio.sleep(SCRIPT_SETTLES_S)
            return _measured(verdicts_s, idle, options.fleet - 1, await cores(child, REST_S))


def _measured(verdicts_s: float, memory: int, servers: int, rest: float) -> Measured:
    return {VERDICTS.id: verdicts_s, MEMORY.id: memory / servers / 1024, REST.id: rest}


def settling_s(servers: int) -> float:
    """How long after its start a fleet of so many is at rest."""
    return SETTLE_S + servers / LEARNT_A_SECOND


async def daemon_memory(servers: int) -> int:
    """Bytes that the daemon takes with a fleet of so many, at rest."""
    async with StandIn(servers).listening() as fleet, ready_daemon(fleet.urls) as child:
        await asyncio.sleep(settling_s(servers))
        return child.memory_bytes()


async def _bare_memory(sockets: int) -> int:
    async with StandIn(sockets).listening() as fleet, _script(fleet.urls, checks=False) as child:
        await child.said(START_WITHIN_S)
        await asyncio.sleep(SETTLE_S)
        return child.memory_bytes()


@asynccontextmanager
async def _script(urls: Sequence[str], *, checks: bool) -> AsyncIterator[Child]:
    """The baseline. So many URLs have no room on a command line."""
    with NamedTemporaryFile("w", prefix="comfywarm-bench-", suffix=".json") as file:
        file.write(orjson.dumps(list(urls)).decode())
        file.flush()
        async with baseline("fleet", {"urls": file.name, "at_once": CHECKS_AT_ONCE, "checks": checks}) as child:
            yield child


@asynccontextmanager
async def ready_daemon(urls: Sequence[str], check_interval_s: float = 60.0) -> AsyncIterator[Child]:
    """The daemon over these servers, once it has a verdict on each."""
    settings = {"timing": {"check_interval_s": check_interval_s}, "limits": {"max_checks": CHECKS_AT_ONCE}}
    async with daemon(urls, settings) as ours:
        await until_ready(ours.url)
        yield ours.child


async def until_ready(url: str) -> None:
    """Return once the daemon at this address has a verdict on each of its servers."""
    async with asyncio.timeout(START_WITHIN_S), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/readyz") as answer:
                if answer.ok:
                    return
            await asyncio.sleep(POLL_S)


async def cores(child: Child, seconds: float) -> float:
    """How many cores it keeps busy, over so long."""
    used, began = child.cpu_s(), time.monotonic()
    await asyncio.sleep(seconds)
    return (child.cpu_s() - used) / (time.monotonic() - began)


CASE = Case((MEMORY, VERDICTS, REST), _ours, _bare)
