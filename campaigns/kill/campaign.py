"""Many runs of one daemon, each ended by SIGKILL, then a last one in which every server must recover."""

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
from campaigns.kill.readers import ReaderLog, read_stream, read_tail
from campaigns.kill.report import Report, check, server_problem
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
"""Longest wait for the moment of a kill; the daemon is killed anyway after it."""
LONGEST_RUN_S = 9.0
RECOVERY_S = 90.0
POLL_S = 0.1


async def campaign(folder: Path, kills: int, seed: int, longest_run_s: float = LONGEST_RUN_S) -> Report:
    """Run the campaign. Raises DaemonDiedError if the daemon ends by itself.

    `longest_run_s` must exceed `lost_grace_s`: only then are uncertain prompts resolved between two kills.
    """
    started, moments, report = time.monotonic(), Moments(), Report()
    async with watched_servers(seed, moments) as servers:
        daemon = DaemonProcess(folder, settings_for({name: url for name, (_, url) in servers.items()}))
        watched = [server for server, _ in servers.values()]
        try:
            async with _reading(daemon) as streams:
                await _kill_repeatedly(daemon, watched, moments, draw(Random(seed), kills, longest_run_s), report)
                await _recover(daemon, watched, report)
        finally:
            await daemon.end()
        check(daemon, watched, streams, report)
    report.duration_s = time.monotonic() - started
    return report


def settings_for(urls: dict[str, str]) -> dict[str, object]:
    """Return settings over simulated servers, with timing for runs of a few seconds."""
    return {
        "servers": [{"url": url, "name": name, "workflows": [ROLES[name].workflow]} for name, url in urls.items()],
        "workflows_dir": str(WORKFLOWS),
        "timing": TIMING,
        "limits": {"max_warming": 32, "max_warming_per_host": 32},
    }


@asynccontextmanager
async def _reading(daemon: DaemonProcess) -> AsyncIterator[list[ReaderLog]]:
    """Read stream and `tail` across all runs. Without a running daemon `tail` would follow the file."""
    await daemon.start()
    await daemon.until_answering()
    stream, tail = ReaderLog("stream"), ReaderLog("tail")
    process = await daemon.tail("--follow", "-n", "0")
    tasks = [asyncio.create_task(read_stream(daemon.address, stream)), asyncio.create_task(read_tail(process, tail))]
    try:
        yield [stream, tail]
        await _catch_up(tail, stream)
    finally:
        tasks[0].cancel()
        if process.returncode is None:
            process.terminate()
        await process.wait()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _catch_up(tail: ReaderLog, stream: ReaderLog) -> None:
    """Wait until `tail`, which pauses between connections, has caught up with the stream."""
    give_up = time.monotonic() + END_S
    while (tail.last or 0) < (stream.last or 0) and time.monotonic() < give_up:  # noqa: ASYNC110 - a bounded poll
        await asyncio.sleep(POLL_S)


async def _kill_repeatedly(
    daemon: DaemonProcess, servers: Sequence[WatchedServer], moments: Moments, plan: Sequence[Kill], report: Report
) -> None:
    """Kill and restart the running daemon as planned, with actions on the servers; end with a start."""
    actions = asyncio.create_task(churn(servers, Random(len(plan))))
    try:
        for kill in plan:
            report.kills[await _kill(daemon, moments, kill)] += 1
            await daemon.wait_ended()
            moments.run += 1
            await asyncio.sleep(kill.away_s)
            await daemon.start()
    finally:
        actions.cancel()
        await asyncio.gather(actions, return_exceptions=True)
        await asyncio.gather(*(server.come_back() for server in servers))


async def _kill(daemon: DaemonProcess, moments: Moments, kill: Kill) -> str:
    """Kill the daemon as planned; return a description of the moment."""
    if not kill.timed and not await _wait_for_moment(daemon, moments, kill):
        daemon.kill()
        return f"timeout while waiting: {kill.moment}"
    if kill.delay_s is not None:
        await asyncio.sleep(kill.delay_s)
        daemon.kill()
    return kill.moment


async def _wait_for_moment(daemon: DaemonProcess, moments: Moments, kill: Kill) -> bool:
    """Wait for the moment; return False on a timeout. Without a delay, kill within the callback."""
    reached = asyncio.Event()

    def on_moment() -> None:
        if kill.delay_s is None:
            daemon.kill()
        reached.set()

    moments.arm(kill.moment, on_moment)
    try:
        await asyncio.wait_for(reached.wait(), MOMENT_S)
    except TimeoutError:
        moments.disarm()
        return False
    return True


async def _recover(daemon: DaemonProcess, servers: Sequence[WatchedServer], report: Report) -> None:
    """Wait until the last run has recovered every server."""
    started = time.monotonic()
    await daemon.until_answering()
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{daemon.address}/api/status") as response:
                status = {one["name"]: one for one in (await response.json())["servers"]}
            report.not_recovered = [
                problem for server in servers if (problem := server_problem(server, status[server.name]))
            ]
            report.recovery_s = time.monotonic() - started
            if not report.not_recovered or report.recovery_s > RECOVERY_S:
                return
            await asyncio.sleep(POLL_S)
