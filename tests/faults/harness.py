"""The real daemon over a faulty server and a healthy one, observed through its API.

After each test the harness asserts what holds for every fault: no duplicate prompts, at most one warm-up in flight,
and a healthy server that stayed loaded and was served without delay.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from loguru import logger

from statemachine.simulator import PROFILES, Profile, running_fleet
from tests.faults.proxy import FaultProxy, FrameFilter, Responders
from tests.faults.table import Row
from tests.support.daemon import COMMON, DaemonClient, Json, daemon_in_process
from tests.support.fair_clock import FairClock
from tests.support.polling import PATIENCE_S

POLL_INTERVAL_S = 0.05
LIMIT_OBSERVED_S = 0.5
"""How long a server that asks for one second without requests is observed."""
SLOWEST_S = 2.5
"""The longest that a faulty server may delay a response of the daemon, or a check of the healthy server."""

QUICK = {
    "check_interval_s": 0.25,
    "auto_recheck_s": 0.1,
    "http_timeout_s": 1.5,
    "busy_wait_s": 10,
    "warm_timeout_s": 20,
    "retry_s": 0.1,
    "failed_retry_s": 600,
    "lost_grace_s": 0.5,
    "link_backoff_max_s": 0.5,
}

Start = Callable[[Path, Json], AbstractAsyncContextManager[str]]
"""(folder, settings) → address of a running daemon."""


class Harness(DaemonClient):
    """One daemon over a server named `faulty` and one named `healthy`, which is checked every `interval_s`."""

    def __init__(self, address: str, session: aiohttp.ClientSession, log: list[str], interval_s: float) -> None:
        super().__init__(address, session)
        self.slowest_s = 0.0
        """The longest that the daemon took to respond, or to check the healthy server after its interval."""
        self._interval_s = interval_s
        self.left_loaded: list[Json] = []
        self.notices: list[str] = []
        """The reasons of the notices received so far."""
        self.log = log
        """The log lines of a daemon in this process."""

    async def until(self, holds: Callable[[Json], object], timeout_s: float = PATIENCE_S) -> Json:
        """Wait until the faulty server's detail satisfies `holds` and return it."""
        return await self.wait_for_detail("faulty", holds, timeout_s)

    async def until_state(self, state: str) -> Json:
        """Wait until the faulty server is in that state and return its detail."""
        return await self.wait_for_state("faulty", state)

    async def until_read(self, expected: Row, timeout_s: float = PATIENCE_S) -> Json:
        """Wait until the API shows what docs/faults.md documents for this fault."""
        return await self.until(
            lambda detail: self.shows(detail, expected) and set(expected.notices) <= set(self.notices),
            timeout_s=timeout_s,
        )

    def shows(self, detail: Json, expected: Row) -> bool:
        """Return whether the detail shows the state, the reason and the words of a row."""
        now = {"to": detail["state"], "reason": detail["reason"], "message": detail["message"]}
        shown = [now, *detail["transitions"]]
        at = [one for one in shown if (one["to"], one["reason"]) == (expected.state, expected.reason)]
        text = "\n".join([*(one["message"] for one in at), detail["link"]["trouble"] or "", *self.log])
        return bool(at) and all(word in text for word in expected.words)

    async def collect_notices(self) -> None:
        """Collect the notices of the event stream from its beginning."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.address}/api/events?since=0") as stream:
            async for line in stream.content:
                if line.startswith(b"data: "):
                    event = json.loads(line.removeprefix(b"data: "))
                    self.notices += [event["reason"]] if event.get("event") == "notice" else []

    async def watch_healthy(self) -> None:
        """Poll the healthy server, which is loaded, until cancelled."""
        clock = FairClock()
        checks, checked = 0, clock.now()
        while True:
            asked = clock.now()
            detail = await self.detail("healthy")
            answered = clock.now()
            if detail["counters"]["checks"] != checks:
                checks, checked = detail["counters"]["checks"], answered
            self.slowest_s = max(self.slowest_s, answered - asked, answered - checked - self._interval_s)
            if detail["state"] != "loaded":
                self.left_loaded.append(detail)
            await asyncio.sleep(POLL_INTERVAL_S)


@asynccontextmanager
async def in_process(folder: Path, data: Json) -> AsyncIterator[str]:
    """Run the daemon in this process."""
    async with daemon_in_process(folder, data) as client:
        yield client.address


@asynccontextmanager
async def watched(
    folder: Path, url: str, *others: str | Json, start: Start = in_process, **settings: Any
) -> AsyncIterator[Harness]:
    """Run a daemon over the server at `url`, other servers and a healthy one; check the healthy one."""
    async with running_fleet([PROFILES["loaded"]]) as fleet:
        data = {
            "servers": [{"url": url, "name": "faulty"}, {"url": fleet.urls[0], "name": "healthy"}, *others],
            "cache_check": {"kind": "text"},
            **COMMON,
            **settings,
            "timing": {**QUICK, **settings.get("timing", {})},
        }
        async with (
            logged() as log,
            start(folder, data) as address,
            aiohttp.ClientSession(connector=one_connection()) as session,
        ):
            harness = Harness(address, session, log, data["timing"]["check_interval_s"])
            await harness.wait_for_detail(
                "healthy", lambda detail: detail["state"] == "loaded" and detail["link"]["connected"]
            )
            tasks = [asyncio.create_task(harness.watch_healthy()), asyncio.create_task(harness.collect_notices())]
            try:
                yield harness
                await check_healthy_server(harness, tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def logged() -> AsyncIterator[list[str]]:
    """Collect the log lines of this process within the block."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)))
    try:
        yield lines
    finally:
        logger.remove(sink)


def one_connection() -> aiohttp.TCPConnector:
    """Return a connector with one connection, for a daemon that cannot accept another one."""
    return aiohttp.TCPConnector(limit=1)


async def check_healthy_server(harness: Harness, tasks: list["asyncio.Task[None]"]) -> None:
    """Assert that the healthy server stayed loaded and was served without delay."""
    for task in tasks:
        if task.done():
            await task
    checks = (await harness.detail("healthy"))["counters"]["checks"]
    await harness.wait_for_detail("healthy", lambda detail: detail["counters"]["checks"] > checks)
    assert harness.left_loaded == []
    assert harness.slowest_s < SLOWEST_S, "the daemon was slow to answer, or to check the healthy server"


@asynccontextmanager
async def faulty(
    folder: Path,
    profile: str | Profile = "cold",
    responders: Responders | None = None,
    frame_filter: FrameFilter | None = None,
    *,
    scale: float = 0.01,
    prepare: Callable[[FaultProxy], object] = lambda _: None,
    **settings: Any,
) -> AsyncIterator[tuple[Harness, FaultProxy]]:
    """Run a daemon over a server with these responders; `prepare` is called before the daemon starts."""
    proxy = FaultProxy(PROFILES[profile] if isinstance(profile, str) else profile, scale)
    proxy.responders.update(responders or {})
    proxy.frame_filter = frame_filter or proxy.frame_filter
    async with proxy.listening():
        prepare(proxy)
        async with watched(folder, proxy.url, **settings) as harness:
            yield harness, proxy
    assert_no_duplicate_posts(proxy)


def assert_no_duplicate_posts(proxy: FaultProxy) -> None:
    """Assert that every POST had a new id and at most one prompt was in flight."""
    assert len(set(proxy.prompt_ids)) == len(proxy.prompt_ids)
    assert proxy.most_in_flight <= 1
    assert len(set(proxy.client_ids)) == len(proxy.client_ids)


async def assert_nothing_is_sent(proxy: FaultProxy) -> None:
    """Assert that the daemon sends nothing for a part of the second that a 429 asks for."""
    before = proxy.requests.total()
    await asyncio.sleep(LIMIT_OBSERVED_S)
    assert proxy.requests.total() == before


class Memory:
    """Measure the growth of this process's peak memory within the block, in bytes."""

    def __enter__(self) -> "Memory":
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._before = _figure("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        self.growth = _figure("VmHWM") - self._before


def _figure(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
