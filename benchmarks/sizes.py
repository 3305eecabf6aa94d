"""The size of a daemon and of its answers by the number of servers: `python -m benchmarks.sizes 10000 20000`.

Compare the columns of one run; the times depend on the machine and on its other work.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from typing_extensions import override

from benchmarks import fleet
from benchmarks.processes import Daemon, allow_descriptors, daemon
from benchmarks.stand_in import StandIn

PATIENCE_S = 900.0
STATUS_FOR_S = 60.0
"""How long /api/status is asked for after the first verdicts, while version and devices of every server are read."""

PAUSE_S = 0.5
SETTINGS = {"timing": {"check_interval_s": 60.0}, "limits": {"max_checks": fleet.MAX_CHECKS}}

Figures = Mapping[str, str]


class Taken(NamedTuple):
    """The processor time of the daemon until it had answered, its other work included, and the time that passed."""

    cpu_s: float
    passed_s: float

    @override
    def __str__(self) -> str:
        return f"{self.cpu_s:.2f} s of processor time ({self.passed_s:.1f} s passed)"


async def figures(servers: int) -> Figures:
    """Measure a daemon with this many servers."""
    async with StandIn(servers).listening() as stand_in, daemon(stand_in.urls, SETTINGS) as ours:
        began = time.monotonic()
        await fleet.wait_ready(ours.url, PATIENCE_S)
        ready_s, cpu_s = time.monotonic() - began, ours.child.cpu_s()
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            first, longest = await _status_times(session, ours)
            found = {
                "every server has a verdict, processor time": f"{cpu_s:.1f} s ({ready_s:.0f} s passed)",
                "first /api/status after that": str(first),
                "longest /api/status of the next minute": str(longest),
                "/ws connections": f"{len(stand_in.sockets):,}",
                "memory": f"{ours.child.memory_bytes() / 2**20:.0f} MB",
            }
            for path in ("/api/status", "/metrics", "/api/wanted"):
                found[path] = await _answer(session, ours, path)
        found["idle, cores"] = f"{await fleet.cores(ours.child, 20.0):.2f}"
        return found


async def _status_times(session: aiohttp.ClientSession, ours: Daemon) -> tuple["Taken", "Taken"]:
    """Return how long the first and the longest /api/status took."""
    times, ends_at = list[Taken](), time.monotonic() + STATUS_FOR_S
    while time.monotonic() < ends_at:
        began, cpu_s = time.monotonic(), ours.child.cpu_s()
        await _read(session, ours, "/api/status", "identity")
        times.append(Taken(ours.child.cpu_s() - cpu_s, time.monotonic() - began))
        await asyncio.sleep(PAUSE_S)
    return times[0], max(times)


async def _answer(session: aiohttp.ClientSession, ours: Daemon, path: str) -> str:
    plain, cpu_s = len(await _read(session, ours, path, "identity")), ours.child.cpu_s()
    compressed = len(await _read(session, ours, path, "gzip"))
    used = ours.child.cpu_s() - cpu_s
    return f"{plain / 1e6:.2f} MB, compressed {compressed / 1e6:.2f} MB in {used:.2f} s of processor time"


async def _read(session: aiohttp.ClientSession, ours: Daemon, path: str, encoding: str) -> bytes:
    async with session.get(f"{ours.url}{path}", headers={"Accept-Encoding": encoding}) as answer:
        answer.raise_for_status()
        return await answer.read()


def table(columns: Mapping[int, Figures]) -> str:
    """Return a table with a column for each size."""
    lines = [["figure", *(f"{servers:,} servers" for servers in columns)], ["---"] * (len(columns) + 1)]
    names = next(iter(columns.values()))
    lines += [[name, *(found[name] for found in columns.values())] for name in names]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Measure one size after the other, and print the table so far."""
    allow_descriptors()
    columns = dict[int, Figures]()
    for servers in [int(size) for size in sys.argv[1:]] or [10_000, 20_000]:
        columns[servers] = asyncio.run(figures(servers))
        print(table(columns), flush=True)


if __name__ == "__main__":
    main()
