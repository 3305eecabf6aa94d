"""One soak: faulty servers in this process, the daemon in another, a sample every few seconds."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import aiohttp

from campaigns.kill.process import DaemonProcess
from campaigns.kill.readers import ReaderLog, read_stream
from campaigns.soak.samples import Sample, descriptors, resident_mib, tasks_in
from statemachine.simulator import PROFILES, Profile, SimFleet, running_fleet
from tests.support.paths import WORKFLOWS

HOSTS = tuple(f"127.0.0.{number}" for number in range(1, 9))
EVICTED, RESTARTED, USED = 60.0, 180.0, 40.0
FAULTY_SERVERS = (
    replace(PROFILES["evicting"], evict_every=EVICTED),
    replace(PROFILES["cold"], evict_every=EVICTED, users_every=USED),
    replace(PROFILES["restarting"], restart_every=RESTARTED),
    replace(PROFILES["auto_executing"], evict_every=EVICTED),
    replace(PROFILES["inspire"], users_every=USED, restart_every=RESTARTED),
    replace(PROFILES["stock"], users_every=USED),
    replace(PROFILES["slow"], evict_every=2 * EVICTED),
    replace(PROFILES["trapped"], restart_every=RESTARTED),
    PROFILES["out_of_memory"],
    PROFILES["unrecognisable"],
    PROFILES["chatty"],
    PROFILES["absent"],
)
"""Servers with every kind of fault, assigned in turn. Mean seconds; a warm-up takes 8 to 20 s."""
SCALE = 0.5
TIMING = {"check_interval_s": 10, "failed_retry_s": 60, "lost_grace_s": 3, "busy_wait_s": 30}
MIB = 1024 * 1024


async def soak(
    folder: Path, servers: int, seconds: float, every_s: float, on_sample: Callable[[Sample, dict[str, int]], None]
) -> list[Sample]:
    """Run the soak; return its samples. `on_sample` receives each, with the number of servers per state."""
    profiles = list(islice(cycle(FAULTY_SERVERS), servers))
    async with (
        running_fleet(profiles, seed=servers, scale=SCALE, hosts=HOSTS) as fleet,
        DaemonProcess(folder, _settings(fleet, profiles)).running() as daemon,
        aiohttp.ClientSession() as session,
    ):
        samples: list[Sample] = []
        log = ReaderLog("stream")
        reader = asyncio.create_task(read_stream(daemon.address, log))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(every_s)
            samples.append(await _sample(daemon, session, log))
            async with session.get(f"{daemon.address}/api/status") as response:
                on_sample(samples[-1], (await response.json())["states"])
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        if log.problems or daemon.faults():
            raise AssertionError([*log.problems, *daemon.faults()][:20])
        return samples


def _settings(fleet: SimFleet, profiles: list[Profile]) -> dict[str, object]:
    entries = [
        {"url": url, "workflows": ["smoke" if profile.name == "stock" else "cache_models"]}
        for url, profile in zip(fleet.urls, profiles, strict=True)
    ]
    return {
        "servers": entries,
        "workflows_dir": str(WORKFLOWS),
        "timing": TIMING,
        "limits": {"max_warming": 64, "max_warming_per_host": 16},
        "logging": {"file": None, "level": "WARNING"},
    }


async def _sample(daemon: DaemonProcess, session: aiohttp.ClientSession, log: ReaderLog) -> Sample:
    async with session.get(f"{daemon.address}/metrics") as response:
        metrics = await response.text()
    return Sample(
        at_s=time.monotonic(),
        rss_mib=resident_mib(daemon.pid),
        descriptors=descriptors(daemon.pid),
        tasks=tasks_in(metrics),
        entries=log.last or 0,
        journal_mib=sum(path.stat().st_size for path in daemon.journal_file.parent.iterdir()) / MIB,
    )
