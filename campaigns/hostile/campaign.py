"""Two runs of the daemon: over the honest servers alone, and over the same beside the hostile ones."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from campaigns.hostile.honest import Honest, honest_servers, wrong_warm_ups
from campaigns.hostile.kinds import KINDS
from campaigns.hostile.outputs import left_loaded, outputs
from campaigns.hostile.processes import hostile_servers, polling
from campaigns.hostile.report import Report, Run
from campaigns.hostile.secrets import ENVIRONMENT, leaks
from campaigns.hostile.supervisor import Supervisor
from campaigns.kill.process import DaemonProcess
from campaigns.soak.samples import peak_mib
from tests.support.paths import WORKFLOWS
from tests.support.service_manager import Listener

TIMING = {
    "check_interval_s": 10,
    "http_timeout_s": 3,
    "busy_wait_s": 10,
    "warm_timeout_s": 8,
    "failed_retry_s": 30,
    "lost_grace_s": 3,
}
"""Shorter than the defaults, so that a hostile server is asked often."""
GIVE_UP_S = 300.0
"""Until every honest server must be loaded."""
POLL_S = 0.25
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Plan:
    """One campaign: the number of honest servers, the seconds beside the hostile ones, and the hostile kinds."""

    honest: int = 50
    seconds: float = 600.0
    kinds: tuple[str, ...] = tuple(KINDS)
    seed: int = 1


async def campaign(folder: Path, plan: Plan) -> Report:
    """Run the campaign. Raises DaemonDiedError if the daemon ends by itself."""
    alone = await _run(folder / "alone", plan, (), 0.0)
    return Report(alone, await _run(folder / "beside", plan, plan.kinds, plan.seconds))


async def _run(folder: Path, plan: Plan, kinds: tuple[str, ...], seconds: float) -> Run:
    await asyncio.to_thread(folder.mkdir, parents=True)
    async with honest_servers(plan.honest, plan.seed) as honest, hostile_servers(folder, kinds) as hostile:
        entries = {**hostile, **{name: {"url": url} for name, (_, url) in honest.items()}}
        run = Run(servers=len(entries))
        async with _supervised(folder, entries) as (daemon, supervisor), polling(folder, daemon, run):
            await _observe(daemon, supervisor, honest, seconds, run)
        run.longest_gap_s, run.killed = supervisor.longest_gap_s, supervisor.killed
        run.wrong_warm_ups = wrong_warm_ups(honest)
    run.left_loaded = left_loaded(daemon.journal_file, honest)
    run.faults = daemon.faults()
    run.log_bytes = sum(path.stat().st_size for path in (daemon.log, *(folder / "logs").glob("*")))
    return run


@asynccontextmanager
async def _supervised(
    folder: Path, entries: Mapping[str, Mapping[str, Any]]
) -> AsyncIterator[tuple[DaemonProcess, Supervisor]]:
    supervisor = Supervisor(Listener(str(folder / "notify")))
    daemon = DaemonProcess(folder, settings_for(entries), **ENVIRONMENT, **supervisor.environment)
    try:
        async with daemon.running(), supervisor.watching(daemon):
            yield daemon, supervisor
    finally:
        supervisor.listener.close()


def settings_for(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return settings over these servers: name → entry."""
    return {
        "servers": [{"name": name, **entry} for name, entry in entries.items()],
        "workflows_dir": str(WORKFLOWS),
        "timing": TIMING,
        "logging": {"file": "logs/comfywarm.log"},
    }


async def _observe(daemon: DaemonProcess, supervisor: Supervisor, honest: Honest, seconds: float, run: Run) -> None:
    """Wait until every honest server is loaded and `seconds` have passed; then read all output."""
    started, states = time.monotonic(), dict[str, str]()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)) as session:
        while not supervisor.killed and (run.seconds < seconds or run.loaded_s > run.seconds < GIVE_UP_S):
            await asyncio.sleep(POLL_S)
            run.peak_mib, run.cpu_s = peak_mib(daemon.pid), cpu_s(daemon.pid)
            states = await _states(session, daemon, run)
            run.seconds = time.monotonic() - started
            if run.loaded_s > run.seconds and all(states.get(name, "").startswith("loaded/") for name in honest):
                run.loaded_s = run.seconds
        if supervisor.killed:
            return
        run.hostile = {name: state for name, state in states.items() if name not in honest}
        run.leaks = leaks(await outputs(session, daemon, list(run.hostile)))


async def _states(session: aiohttp.ClientSession, daemon: DaemonProcess, run: Run) -> dict[str, str]:
    """Return each server's state and reason; {} without an answer, which the figures of /healthz show."""
    try:
        async with session.get(f"{daemon.address}/api/status") as response:
            body = await response.read()
            run.status_bytes = max(run.status_bytes, len(body))
            return {one["name"]: f"{one['state']}/{one['reason']}" for one in (await response.json())["servers"]}
    except (aiohttp.ClientError, TimeoutError):
        return {}


def cpu_s(pid: int) -> float:
    """Return the processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
