"""Reload while the fleet is busy with users' jobs and warm-ups, and a client reads the event stream."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from statemachine.daemon.process import allow_descriptors
from statemachine.simulator import Member, SimFleet, running_fleet
from statemachine.simulator.profiles import PROFILES
from tests.support.daemon import DaemonClient, command, page_address
from tests.support.paths import WORKFLOWS
from tests.support.polling import PATIENCE_S, wait_until

Json = dict[str, Any]
COUNT, MOVED, SLOW = 300, 60, 40
ANSWERED_WITHIN_S = 1.0
ACTIVE_WITHIN_S = 5.0


class Reader:
    """Reads the event stream, and measures how fast the daemon responds."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session, self._address = session, address
        self.ids: list[int] = []
        self.notices: list[tuple[float, Json]] = []
        self.slowest_s = 0.0

    async def read_stream(self) -> None:
        """Read the stream from its beginning, until cancelled."""
        async with self._session.get(f"{self._address}/api/events?since=0", timeout=None) as stream:
            async for line in stream.content:
                if line.startswith(b"id: "):
                    self.ids.append(int(line[4:]))
                elif line.startswith(b"data: ") and (entry := json.loads(line[6:])).get("event") == "notice":
                    self.notices.append((time.monotonic(), entry))

    async def measure_healthz(self) -> None:
        """Measure the slowest response to /healthz, until cancelled."""
        while True:
            asked = time.monotonic()
            async with self._session.get(f"{self._address}/healthz"):
                self.slowest_s = max(self.slowest_s, time.monotonic() - asked)
            await asyncio.sleep(0.02)


def settings_of(members: list[Member]) -> str:
    """Return the text of a settings file with these servers."""
    return json.dumps({
        "listen": {"port": 0},
        "workflows_dir": str(WORKFLOWS),
        "servers": [member.url for member in members],
        "timing": {"check_interval_s": 5},
        "limits": {"max_warming": SLOW, "max_warming_per_host": SLOW},
        "logging": {"file": None},
    })  # fmt: skip


@asynccontextmanager
async def users(fleet: SimFleet) -> AsyncIterator[None]:
    """Start a user's job on a random loaded server fifty times a second within the block."""
    rng, loaded = Random(1), [one.server for one in fleet.members if one.server.profile.name == "loaded"]

    async def work() -> None:
        while True:
            rng.choice(loaded).start_foreign_job(0.05)
            await asyncio.sleep(0.02)

    working = asyncio.create_task(work())
    yield
    working.cancel()


@pytest.mark.alone
async def test_reload_of_busy_fleet_leaves_other_servers(tmp_path: Path) -> None:
    allow_descriptors(COUNT)
    path = tmp_path / "settings.json"
    profiles = [PROFILES["slow"]] * SLOW + [PROFILES["loaded"]] * (COUNT - SLOW)
    async with running_fleet(profiles, scale=0.1) as fleet, users(fleet), aiohttp.ClientSession() as session:
        stay, leave, come = fleet.members[: -2 * MOVED], fleet.members[-2 * MOVED : -MOVED], fleet.members[-MOVED:]
        path.write_text(settings_of([*stay, *leave]))
        async with command(path, "serve") as process:
            address = await page_address(process)
            reader, client = Reader(session, address), DaemonClient(address, session)
            tasks = [asyncio.create_task(reader.read_stream()), asyncio.create_task(reader.measure_healthz())]
            before = await client.wait_for("/api/status", lambda status: status["states"].get("warming", 0) == SLOW)
            written = time.monotonic()
            (tmp_path / "new").write_text(settings_of([*stay, *come]))
            (tmp_path / "new").replace(path)
            await client.wait_for_states({"loaded": COUNT - MOVED}, 2 * PATIENCE_S)
            await wait_until(lambda: reader.notices)
            for task in tasks:
                task.cancel()
            ((at, notice),) = reader.notices
            print(f"active after {at - written:.2f} s, slowest /healthz {reader.slowest_s * 1000:.0f} ms")
            assert f"added {MOVED}, removed {MOVED}, changed 0" in notice["message"]
            assert at - written < ACTIVE_WITHIN_S
            assert reader.slowest_s < ANSWERED_WITHIN_S
            assert reader.ids == list(range(len(reader.ids)))  # the stream begins with id 0, its position
            await assert_undisturbed(session, address, stay, before)


async def assert_undisturbed(session: aiohttp.ClientSession, address: str, stay: list[Member], before: Json) -> None:
    """Assert that the kept servers have their connection and only the prompts that were in flight."""
    prompts = {one["name"]: one["prompt_id"] for one in before["servers"]}
    for member in stay:
        name = member.url.removeprefix("http://")
        async with session.get(f"{address}/api/servers/{name}") as response:
            detail = await response.json()
        assert detail["link"]["connects"] == 1, name
        assert [one["prompt_id"] for one in detail["attempts"]] == ([prompts[name]] if prompts[name] else [])
