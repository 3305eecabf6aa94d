"""Reload of a daemon process whose files are edited, with simulated servers."""

import json
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from statemachine.simulator import SimFleet, running_fleet
from statemachine.simulator.profiles import PROFILES
from tests.faults.hooks import HookProgram
from tests.support.daemon import DaemonClient, Json, command, page_address
from tests.support.paths import WORKFLOWS
from tests.support.polling import wait_until

COUNT = 4


class Site(DaemonClient):
    """A daemon process over simulated servers, and the folder of its files."""

    def __init__(
        self, folder: Path, process: Process, fleet: SimFleet, session: aiohttp.ClientSession, address: str
    ) -> None:
        super().__init__(address, session)
        self.folder, self.process, self.fleet = folder, process, fleet

    @property
    def names(self) -> list[str]:
        """The default names of the servers."""
        return [member.url.removeprefix("http://") for member in self.fleet.members]

    def write(self, **settings: Any) -> None:
        """Replace the settings file, as editors do."""
        write(self.folder, settings)

    async def entries(self) -> list[Json]:
        """Return the whole log, oldest first."""
        log: Json = await self.get("/api/log?limit=1000")
        return list(reversed(log["entries"]))

    async def until_notice(self, reason: str) -> Json:
        """Wait for a notice with this reason; return the newest."""

        def newest(log: Json) -> Json | None:
            return next((entry for entry in log["entries"] if entry["reason"] == reason), None)

        log = await self.wait_for("/api/log?limit=1000", newest)
        notice = newest(log)
        assert notice is not None
        return notice


def write(folder: Path, settings: Json) -> None:
    """Replace the settings file in one step."""
    whole = {
        "listen": {"port": 0},
        "workflows_dir": "flows",
        "timing": {"check_interval_s": 60, "retry_s": 0.2, "lost_grace_s": 1},
        "logging": {"file": None},
        **settings,
    }
    fresh = folder / "settings.new"
    fresh.write_text(json.dumps(whole))
    fresh.replace(folder / "settings.json")


@asynccontextmanager
async def site(folder: Path, *, profile: str = "loaded", scale: float = 0.02) -> AsyncIterator[Site]:
    """Run a daemon over three of four servers of one profile."""
    (folder / "flows").mkdir()
    text = (WORKFLOWS / "cache_models.json").read_text()
    (folder / "flows" / "cache_models.json").write_text(text)
    profiles = [PROFILES[profile]] * COUNT
    async with running_fleet(profiles, scale=scale) as fleet, aiohttp.ClientSession() as session:
        write(folder, {"servers": [member.url for member in fleet.members[:3]]})
        async with command(folder / "settings.json", "serve") as process:
            address = await page_address(process)
            yield Site(folder, process, fleet, session, address)


async def test_reload_added_and_removed_servers_leave_others(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.wait_for_states({"loaded": 3})
        before = await here.get("/api/status")
        here.write(servers=[member.url for member in here.fleet.members[1:]])
        status = await here.wait_for(
            "/api/status", lambda status: [one["name"] for one in status["servers"]] == here.names[1:]
        )
        await here.wait_for_states({"loaded": 3})
        assert status["servers"][:2] == before["servers"][1:]
        notice = await here.until_notice("settings_reloaded")
        assert "servers added 1, removed 1, changed 0" in notice["message"]
        later = [entry["server"] for entry in await here.entries() if entry["id"] > notice["id"]]
        assert set(later) <= {here.names[3]}
        links = [(await here.get(f"/api/servers/{name}"))["link"]["connects"] for name in here.names[1:3]]
        assert links == [1, 1]


async def test_reload_invalid_files_change_nothing(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.wait_for_states({"loaded": 3})
        before = (await here.get("/api/status"))["servers"]
        here.write(servers=[here.fleet.members[0].url], timing={"check_intervall_s": 5})
        notice = await here.until_notice("settings_refused")
        assert "timing.check_intervall_s" in notice["message"]
        (tmp_path / "flows" / "cache_models.json").write_text('{"nodes": [], "links": []}')
        here.write(servers=[member.url for member in here.fleet.members])
        await here.wait_for("/api/log", lambda log: "cache_models.json" in log["entries"][0]["message"])
        assert (await here.get("/api/status"))["servers"] == before


async def test_reload_changed_workflow_is_warmed_again(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.wait_for_states({"loaded": 3})
        path = tmp_path / "flows" / "cache_models.json"
        graph = json.loads(path.read_text())
        key = next(node["inputs"] for node in graph.values() if "key" in node.get("inputs", {}))
        key["key"] = "another_key"
        path.write_text(json.dumps(graph))
        await here.until_notice("settings_reloaded")
        await here.wait_for("/api/status", lambda status: all(one["state"] == "loaded" for one in status["servers"]))
        detail = await here.get(f"/api/servers/{here.names[0]}")
        assert "settings_changed" in [one["reason"] for one in detail["transitions"]]


@pytest.mark.parametrize("changed", ["removed and added", "changed"])
async def test_reload_prompt_in_flight_is_kept(tmp_path: Path, changed: str) -> None:
    """The server's history has only our warm-up."""
    async with site(tmp_path, profile="slow", scale=0.05) as here:
        servers = [member.url for member in here.fleet.members[:2]]
        name = here.names[2]
        detail = await here.wait_for(f"/api/servers/{name}", lambda detail: detail.get("state") == "warming")
        prompt_id = detail["prompt_id"]
        if changed == "changed":
            here.write(servers=[*servers, {"url": here.fleet.members[2].url, "headers": {"X-Any": "thing"}}])
            await here.until_notice("settings_reloaded")
        else:
            here.write(servers=servers)
            await here.until_notice("settings_reloaded")
            assert name not in [one["name"] for one in (await here.get("/api/status"))["servers"]]
            here.write(servers=[*servers, here.fleet.members[2].url])
        await here.wait_for(f"/api/servers/{name}", lambda detail: detail.get("state") == "loaded")
        async with here.session.get(f"{here.fleet.members[2].url}/history") as response:
            assert list(await response.json()) == [prompt_id]


async def test_sighup_reloads_and_names_keys_that_need_a_restart(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.wait_for_states({"loaded": 3})
        here.process.send_signal(signal.SIGHUP)
        here.write(servers=[member.url for member in here.fleet.members[:3]], language="zh")
        here.process.send_signal(signal.SIGHUP)
        notice = await here.until_notice("settings_reloaded")
        assert "restart the daemon to change language" in notice["message"]
        assert (await here.get("/api/status"))["states"] == {"loaded": 3}


async def test_reload_restored_file_ends_the_refusal(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.wait_for_states({"loaded": 3})
        right = (tmp_path / "settings.json").read_text()
        (tmp_path / "settings.json").write_text("{")
        refused = await here.until_notice("settings_refused")
        (tmp_path / "settings.json").write_text(right)
        assert (await here.until_notice("settings_reloaded"))["id"] > refused["id"]


async def test_reload_of_restart_settings_leaves_servers_alone(tmp_path: Path) -> None:
    """How servers are restarted is applied at once: servers keep their states, and the next restart has the hook."""
    hook = HookProgram(tmp_path)
    async with site(tmp_path) as here:
        await here.wait_for_states({"loaded": 3})
        before, name = await here.entries(), here.names[0]
        here.write(servers=[member.url for member in here.fleet.members[:3]], restart=hook.settings())
        await here.until_notice("settings_reloaded")
        after = await here.entries()
        assert [one["reason"] for one in after[len(before) :]] == ["settings_reloaded"]
        assert await here.post(f"/api/servers/{name}/restart") == HTTPStatus.ACCEPTED
        await wait_until(lambda: hook.servers)
    assert hook.servers == [name]
