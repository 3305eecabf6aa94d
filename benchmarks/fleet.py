"""The start of the largest fleet, and its memory and processor time while idle.

A pair takes about two minutes with 10,000 servers, because the daemon is idle only after it has read the system
information of every server. The script does not read it, and starts to repeat its checks after six seconds.
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

START_TIMEOUT_S = 120.0
POLL_S = 0.05
SETTLE_S = 5.0
SCRIPT_SETTLE_S = 8.0
SYSTEM_INFO_PER_S = 400
"""Servers per second, at least, whose system information the daemon reads after its start."""
REST_S = 30.0
"""The interval between pings of a socket. The pings of a fleet come in bursts, in the order of its connections."""

MEMORY = Figure(
    "memory_per_server", "Memory per idle server", "KiB",
    "an idle websockets connection without compression, uvloop", 2.0, "lower",
)  # fmt: skip
FIRST_CHECKS = Figure(
    "first_verdicts", "Process start to the first check of every server of the largest fleet", "s",
    "a script with as many sockets, checks and concurrent requests", 1.3, "lower",
)  # fmt: skip
REST = Figure(
    "rest", "Processor time while idle, all servers loaded, each checked every 60 s", "cores",
    "a script with the same pings and checks", 1.5, "lower",
)  # fmt: skip

MAX_CHECKS = 64
"""The value of `limits.max_checks`, and the concurrency of the script."""


async def _ours(options: Options) -> Measured:
    smallest = await daemon_memory(1)
    async with StandIn(options.fleet).listening() as fleet:
        began = time.monotonic()
        async with ready_daemon(fleet.urls) as child:
            verdicts_s = time.monotonic() - began
            await asyncio.sleep(settle_s(options.fleet))
            memory = child.memory_bytes()
            return _measured(verdicts_s, memory - smallest, options.fleet - 1, await cores(child, REST_S))


async def _baseline(options: Options) -> Measured:
    idle = await _script_memory(options.fleet) - await _script_memory(1)
    async with StandIn(options.fleet).listening() as fleet:
        began = time.monotonic()
        async with _script(fleet.urls, checks=True) as child:
            await child.read_line(START_TIMEOUT_S)
            verdicts_s = time.monotonic() - began
            await asyncio.sleep(SCRIPT_SETTLE_S)
            return _measured(verdicts_s, idle, options.fleet - 1, await cores(child, REST_S))


def _measured(verdicts_s: float, memory: int, servers: int, rest: float) -> Measured:
    return {FIRST_CHECKS.id: verdicts_s, MEMORY.id: memory / servers / 1024, REST.id: rest}


def settle_s(servers: int) -> float:
    """Return the seconds after which a fleet of this size is idle."""
    return SETTLE_S + servers / SYSTEM_INFO_PER_S


async def daemon_memory(servers: int) -> int:
    """Return the memory of an idle daemon with this many servers, in bytes."""
    async with StandIn(servers).listening() as fleet, ready_daemon(fleet.urls) as child:
        await asyncio.sleep(settle_s(servers))
        return child.memory_bytes()


async def _script_memory(sockets: int) -> int:
    async with StandIn(sockets).listening() as fleet, _script(fleet.urls, checks=False) as child:
        await child.read_line(START_TIMEOUT_S)
        await asyncio.sleep(SETTLE_S)
        return child.memory_bytes()


@asynccontextmanager
async def _script(urls: Sequence[str], *, checks: bool) -> AsyncIterator[Child]:
    """Start the baseline script; pass the URLs in a file, because a command line is too short."""
    with NamedTemporaryFile("w", prefix="comfywarm-bench-", suffix=".json") as file:
        file.write(orjson.dumps(list(urls)).decode())
        file.flush()
        async with baseline("fleet", {"urls": file.name, "concurrency": MAX_CHECKS, "checks": checks}) as child:
            yield child


@asynccontextmanager
async def ready_daemon(urls: Sequence[str], check_interval_s: float = 60.0) -> AsyncIterator[Child]:
    """Start the daemon; yield it when it has checked every server."""
    settings = {"timing": {"check_interval_s": check_interval_s}, "limits": {"max_checks": MAX_CHECKS}}
    async with daemon(urls, settings) as ours:
        await wait_ready(ours.url)
        yield ours.child


async def wait_ready(url: str, timeout_s: float = START_TIMEOUT_S) -> None:
    """Wait until the daemon at `url` has checked every server."""
    async with asyncio.timeout(timeout_s), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/readyz") as answer:
                if answer.ok:
                    return
            await asyncio.sleep(POLL_S)


async def cores(child: Child, seconds: float) -> float:
    """Return the average number of cores in use over this time."""
    used, began = child.cpu_s(), time.monotonic()
    await asyncio.sleep(seconds)
    return (child.cpu_s() - used) / (time.monotonic() - began)


CASE = Case((MEMORY, FIRST_CHECKS, REST), _ours, _baseline)
