"""Many lives of one daemon, each ended by SIGKILL; then one more, in which everything must become warm."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import aiohttp

from campaigns.kill.churn import churn
from campaigns.kill.moments import Kill, Moments, draw
from campaigns.kill.process import END_S, DaemonProcess
from campaigns.kill.readers import Reading, read_stream, read_tail
from campaigns.kill.report import Report, check, trouble
from campaigns.kill.servers import ROLES, WatchedServer, watched_servers
from tests.support.paths import WORKFLOWS

TIMING = {
    "check_interval_s": 0.5,
    "auto_recheck_s": 0.2,
    "http_timeout_s": 6,
    "busy_wait_s": 1,
    "warm_timeout_s": 60,
    "retry_s": 0.1,
    "failed_retry_s": 3,
    "lost_grace_s": 5,
    "link_stable_s": 1,
    "link_backoff_max_s": 0.5,
}
MOMENT_S = 6.0
"""How long a kill waits for its moment before it happens anyway."""
LONGEST_LIFE_S = 9.0
RECOVERY_S = 90.0
POLL_S = 0.1


async def campaign(folder: Path, kills: int, seed: int, longest_life_s: float = LONGEST_LIFE_S) -> Report:
    """Run it. DaemonDiedError where the daemon ends by itself.

    Now and then a life must outlast `lost_grace_s`, or nothing that is in doubt is ever settled between two kills.
    """
    started, moments, report = time.monotonic(), Moments(), Report()
    async with watched_servers(seed, moments) as servers:
        daemon = DaemonProcess(folder, settings_for({name: url for name, (_, url) in servers.items()}))
        watched = [server for server, _ in servers.values()]
        try:
            async with _reading(daemon) as streams:
                await _kill_again_and_again(daemon, watched, moments, draw(Random(seed), kills, longest_life_s), report)
                await _recover(daemon, watched, report)
        finally:
            await daemon.end()
        check(daemon, watched, streams, report)
    report.duration_s = time.monotonic() - started
    return report


def settings_for(urls: dict[str, str]) -> dict[str, object]:
    """Settings over simulated servers, quick enough for lives of seconds."""
    return {
        "servers": [{"url": url, "name": name, "workflows": [ROLES[name].workflow]} for name, url in urls.items()],
        "workflows_dir": str(WORKFLOWS),
        "timing": TIMING,
        "limits": {"max_warming": 32, "max_warming_per_host": 32},
    }


@asynccontextmanager
async def _reading(daemon: DaemonProcess) -> AsyncIterator[list[Reading]]:
    """Stream and `tail` from the first life on. `tail` must find a daemon, or it would follow the file."""
    await daemon.start()
    await daemon.until_answering()
    stream, tail = Reading("stream"), Reading("tail")
    process = await daemon.tail("--follow", "-n", "0")
    tasks = [asyncio.create_task(read_stream(daemon.address, stream)), asyncio.create_task(read_tail(process, tail))]
    try:
        yield [stream, tail]
        await _caught_up(tail, stream)
    finally:
        tasks[0].cancel()
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _caught_up(tail: Reading, stream: Reading) -> None:
    """`tail` pauses for seconds between two dials, so it may be behind."""
    give_up = time.monotonic() + END_S
    while (tail.last or 0) < (stream.last or 0) and time.monotonic() < give_up:  # noqa: ASYNC110 - a bounded poll
        await asyncio.sleep(POLL_S)


async def _kill_again_and_again(
    daemon: DaemonProcess, servers: Sequence[WatchedServer], moments: Moments, plan: Sequence[Kill], report: Report
) -> None:
    """The first life has begun; a last one is begun, with the servers left alone."""
    unrest = asyncio.create_task(churn(servers, Random(len(plan))))
    try:
        for kill in plan:
            report.kills[await _kill(daemon, moments, kill)] += 1
            await daemon.gone()
            moments.life += 1
            await asyncio.sleep(kill.away_s)
            await daemon.start()
    finally:
        unrest.cancel()
        await asyncio.gather(unrest, return_exceptions=True)
        await asyncio.gather(*(server.come_back() for server in servers))


async def _kill(daemon: DaemonProcess, moments: Moments, kill: Kill) -> str:
    """Strike as planned; what it was."""
    if not kill.timed and not await _announced(daemon, moments, kill):
        daemon.strike()
        return f"waited in vain until {kill.moment}"
    if kill.delay_s is not None:
        await asyncio.sleep(kill.delay_s)
        daemon.strike()
    return kill.moment


async def _announced(daemon: DaemonProcess, moments: Moments, kill: Kill) -> bool:
    """Wait for the moment, and strike within the announcement where that is planned; False where it does not come."""
    announced = asyncio.Event()

    def at_the_moment() -> None:
        if kill.delay_s is None:
            daemon.strike()
        announced.set()

    moments.arm(kill.moment, at_the_moment)
    try:
        await asyncio.wait_for(announced.wait(), MOMENT_S)
    except TimeoutError:
        moments.disarm()
        return False
    return True


async def _recover(daemon: DaemonProcess, servers: Sequence[WatchedServer], report: Report) -> None:
    """The servers are left alone; the last life must bring every one to where it belongs."""
    started = time.monotonic()
    await daemon.until_answering()
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{daemon.address}/api/status") as response:
                status = {one["name"]: one for one in (await response.json())["servers"]}
            report.left_cold = [wrong for server in servers if (wrong := trouble(server, status[server.name]))]
            report.recovery_s = time.monotonic() - started
            if not report.left_cold or report.recovery_s > RECOVERY_S:
                return
            await asyncio.sleep(POLL_S)
