"""A daemon, a gateway and six servers, which are restarted two at a time while a client posts prompts."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from campaigns.gateway.processes import TIMING, GatewayProcess
from campaigns.kill.process import DaemonProcess
from campaigns.rollout.client import SteadyClient
from campaigns.rollout.fleet import GROUP, SERVERS, Fleet, Json, Supervisor
from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import State
from statemachine.journal.store import JournalStore
from tests.support.polling import wait_for, wait_until

LIMIT = 2
"""Servers that may be away at a time."""
NO_VERDICT = (None, State.UNKNOWN, State.CHECKING)
MOST_ENTRIES = 100_000
WARM_S = 240.0
RUN_S = 600.0
HTTP_TIMEOUT_S = 30
"""Longer than a busy machine delays an answer."""
BEFORE = 5
"""Prompts before the rolling restart begins."""


@dataclass
class Report:
    """What was seen. `least_warm` is the lowest number of servers that were loaded at once during the run."""

    prompts: int = 0
    least_warm: int = 0
    hooks: dict[str, int] = field(default_factory=dict)
    run: Json = field(default_factory=dict)
    run_s: float = 0.0
    slowest_s: float = 0.0
    kills: int = 0
    violations: list[str] = field(default_factory=list)


async def campaign(folder: Path, fleet: Fleet, interval_s: float, kills: Sequence[float] = ()) -> Report:
    """Run the campaign. After each pause in `kills`, in seconds, the daemon gets SIGKILL and starts again."""
    report, supervisor = Report(), Supervisor(fleet)
    async with supervisor.listening() as hook:
        daemon = _daemon_over(folder / "daemon", fleet, hook)
        async with (
            daemon.running(),
            GatewayProcess(folder / "gateway", fleet.urls, daemon.port).running() as gateway,
            aiohttp.ClientSession(daemon.address) as session,
        ):
            await wait_for(lambda: _all_loaded(session), timeout_s=WARM_S)
            client = SteadyClient(fleet, gateway.address, interval_s)
            async with client.posting():
                await wait_until(lambda: len(client.prompts) >= BEFORE, WARM_S)
                await _roll(session, daemon, kills, report)
            report.violations += [f"daemon's log: {line}" for line in daemon.faults()]
            report.violations += [f"gateway's log: {line}" for line in gateway.faults()]
    report.hooks, report.violations = dict(supervisor.hooks), report.violations + supervisor.problems
    _check_client(fleet, client, report, is_strict=not kills)
    _check_run(daemon.journal_file, report, is_strict=not kills)
    return report


def _daemon_over(folder: Path, fleet: Fleet, hook: str) -> DaemonProcess:
    folder.mkdir(exist_ok=True)
    settings: dict[str, Any] = {
        "servers": [{"name": name, "url": url, "group": GROUP} for name, url in fleet.urls.items()],
        "workflows": list(fleet.workflows),
        "workflows_dir": str(fleet.workflows_dir),
        "timing": {**TIMING, "http_timeout_s": HTTP_TIMEOUT_S},
        "limits": {"max_warming": 8, "max_warming_per_host": 8},
        "restart": {"http": {"url": hook}, "drain_timeout_s": 120, "return_timeout_s": 180},
    }
    return DaemonProcess(folder, settings)


async def _all_loaded(session: aiohttp.ClientSession) -> bool:
    async with session.get("/api/status") as response:
        status = await response.json()
    return bool(status["states"] == {"loaded": SERVERS})


async def _roll(session: aiohttp.ClientSession, daemon: DaemonProcess, kills: Sequence[float], report: Report) -> None:
    """Start the rolling restart, kill the daemon meanwhile, and wait for the end."""
    started = time.monotonic()
    body = {"max_unavailable": LIMIT, "abort_after": 1}
    async with session.post(f"/api/groups/{GROUP}/restart", json=body) as response:
        if response.status != 202:
            report.violations.append(f"the start was answered with {response.status} {await response.text()}")
            return
    for pause_s in kills:
        await asyncio.sleep(pause_s)
        daemon.kill()
        await daemon.wait_ended()
        await daemon.start()
        await daemon.until_answering()
        report.kills += 1
    await wait_for(lambda: _ended(session, report), timeout_s=RUN_S)
    report.run_s = time.monotonic() - started


async def _ended(session: aiohttp.ClientSession, report: Report) -> bool:
    try:
        async with session.get("/api/rollout") as response:
            report.run = (await response.json())["rollout"]
    except (aiohttp.ClientError, OSError):
        return False
    return report.run["ended_at"] is not None


def _check_client(fleet: Fleet, client: SteadyClient, report: Report, *, is_strict: bool) -> None:
    report.prompts, report.slowest_s = len(client.prompts), client.slowest_s
    runs = fleet.runs()
    report.violations += [f"prompt {one} ran {runs[one]} times" for one in client.prompts if runs.get(one, 0) > 1]
    if is_strict:
        report.violations += client.problems
        report.violations += [f"prompt {one} did not run" for one in client.prompts if not runs.get(one)]


def _check_run(journal: Path, report: Report, *, is_strict: bool) -> None:
    if report.run.get("state") != "done" or report.run["counts"]["done"] != SERVERS:
        report.violations.append(f"the run ended as {report.run}")
    if list(report.hooks.values()) != [1] * SERVERS:
        report.violations.append(f"hooks that were run: {report.hooks}")
    report.least_warm = _least_warm(journal)
    if is_strict and report.least_warm < SERVERS - LIMIT:
        report.violations.append(f"only {report.least_warm} servers were loaded at a time")


def _least_warm(journal: Path) -> int:
    """Return the lowest number of servers that were warm at once since all of them were loaded, by the event log.

    A server whose check is repeated after the client's work is not cold: its next verdict decides.
    """
    store = JournalStore(journal, read_only=True)
    try:
        entries = store.page_after(0, MOST_ENTRIES).entries
    finally:
        store.close()
    warm: dict[str, bool] = {}
    counts = [0]
    for place, entry in enumerate(entries):
        if entry.server is not None and entry.dest is not None:
            warm[entry.server] = _next_verdict(entries[place:], entry.server) is State.LOADED
            counts.append(sum(warm.values()))
    return min(counts[counts.index(SERVERS) :]) if SERVERS in counts else 0


def _next_verdict(entries: Sequence[LogEntry], server: str) -> State | None:
    """Return the first state of the server that says whether it is warm."""
    return next((one.dest for one in entries if one.server == server and one.dest not in NO_VERDICT), None)
