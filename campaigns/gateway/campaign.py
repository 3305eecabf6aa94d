"""Two gateways, a daemon and three servers, killed one after another while clients post prompts."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from campaigns.gateway.clients import Clients
from campaigns.gateway.fleet import Fleet
from campaigns.gateway.moments import Kill, Moment, Moments, Target
from campaigns.gateway.processes import GATEWAYS, GatewayProcess, daemon_over
from campaigns.gateway.report import Report, check
from campaigns.kill.process import DaemonProcess
from tests.support.polling import wait_until

MOMENT_S = 6.0
"""Longest wait for the moment of a kill."""
BETWEEN = 8
"""Prompts that are accepted between two kills."""
PATIENCE_S = 90.0


class Processes:
    """What can be killed."""

    def __init__(self, fleet: Fleet, gateways: Sequence[GatewayProcess], daemon: DaemonProcess) -> None:
        self._fleet = fleet
        self._gateways = gateways
        self._daemon = daemon

    async def kill(self, kill: Kill, server: str) -> None:
        """End the target of a kill."""
        if kill.target is Target.SERVER:
            await self._fleet.kill(server)
        else:
            self._process(kill).kill()

    async def start(self, kill: Kill, server: str) -> None:
        """Start it again."""
        if kill.target is Target.SERVER:
            await self._fleet.start(server)
            return
        process = self._process(kill)
        await process.wait_ended()
        await process.start()
        await process.until_answering()

    def _process(self, kill: Kill) -> DaemonProcess:
        return self._daemon if kill.target is Target.DAEMON else self._gateways[kill.place % len(self._gateways)]


async def campaign(folder: Path, fleet: Fleet, happened: Moments, kills: Sequence[Kill], interval_s: float) -> Report:
    """Run the campaign. Raises DaemonDiedError if a process ends by itself."""
    started, report = time.monotonic(), Report()
    daemon = daemon_over(folder / "daemon", fleet)
    gateways = [GatewayProcess(folder / name, fleet.urls, daemon.port) for name in GATEWAYS]
    async with _running([daemon, *gateways]):
        processes = Processes(fleet, gateways, daemon)
        clients = Clients(fleet, [one.address for one in gateways], interval_s)
        async with _posting(clients):
            for kill in kills:
                wanted = clients.accepted + BETWEEN
                await wait_until(lambda wanted=wanted: clients.accepted >= wanted, PATIENCE_S)  # type: ignore[misc]
                report.kills[await _kill(processes, kill, happened, list(fleet.urls))] += 1
        report.violations += [
            f"log of {one.folder.name}: {line}" for one in (daemon, *gateways) for line in one.faults()
        ]
    await check(fleet, clients, report)
    report.duration_s = time.monotonic() - started
    return report


@asynccontextmanager
async def _running(processes: Sequence[DaemonProcess]) -> AsyncIterator[None]:
    """Start all at once; end them after the block."""
    try:
        for process in processes:
            await process.start()
        for process in processes:
            await process.until_answering()
        yield
    finally:
        for process in processes:
            await process.end()


@asynccontextmanager
async def _posting(clients: Clients) -> AsyncIterator[None]:
    """Post within the block; then wait for the end of every prompt."""
    task = asyncio.create_task(clients.post())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _kill(processes: Processes, kill: Kill, happened: Moments, servers: Sequence[str]) -> str:
    """Kill at the moment and start again; return a description of it."""
    known, tasks = asyncio.Event(), list[asyncio.Task[None]]()
    place = [servers[kill.place % len(servers)]]

    def at(server: str) -> None:
        place[0] = server
        tasks.append(asyncio.create_task(processes.kill(kill, server)))
        known.set()

    described = str(kill)
    if kill.moment is Moment.ANY_TIME:
        await asyncio.sleep(kill.delay_s)
        at(place[0])
    else:
        happened.arm(kill.moment, at)
        try:
            await asyncio.wait_for(known.wait(), MOMENT_S)
        except TimeoutError:
            happened.disarm()
            described = f"{kill.target}: timeout while waiting: {kill.moment}"
            at(place[0])
    await asyncio.gather(*tasks)
    await asyncio.sleep(kill.away_s)
    await processes.start(kill, place[0])
    return described
