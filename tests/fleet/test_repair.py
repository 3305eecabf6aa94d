"""Restarts as the rest of the program sees them: refused without a hook, and resumed by the next run of the daemon."""

import json
from http import HTTPStatus
from pathlib import Path

import pytest

from statemachine.daemon.config import SettingsFile
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES, running_fleet
from tests.faults.hooks import HookProgram
from tests.support.daemon import COMMON, DaemonClient, daemon_in_process
from tests.support.polling import wait_until


async def request(running: DaemonClient, name: str, expected: HTTPStatus) -> str:
    """Request a restart; return the code of the error, if any."""
    async with running.session.post(f"{running.address}/api/servers/{name}/restart") as response:
        assert response.status == expected
        body = await response.json()
    code: str = body.get("error", {}).get("code", "")
    return code


async def test_restart_needs_a_hook_and_a_server_that_is_not_paused(tmp_path: Path) -> None:
    hook = HookProgram(tmp_path)
    async with running_fleet([PROFILES["loaded"], PROFILES["loaded"]]) as fleet:
        servers = [fleet.urls[0], {"url": fleet.urls[1], "restart": hook.settings()}]
        async with daemon_in_process(tmp_path, {"servers": servers}) as running:
            without, with_hook = (url.removeprefix("http://") for url in fleet.urls)
            assert await request(running, without, HTTPStatus.CONFLICT) == "restart_no_hook"
            assert await running.post(f"/api/servers/{with_hook}/pause") == HTTPStatus.ACCEPTED
            await running.wait_for_state(with_hook, "paused")
            assert await request(running, with_hook, HTTPStatus.CONFLICT) == "restart_paused"
            await request(running, "unknown", HTTPStatus.NOT_FOUND)
            assert (await running.detail(with_hook))["restart"] is None
    assert hook.servers == []


async def test_hook_is_not_run_again_by_the_next_run_of_the_daemon(tmp_path: Path) -> None:
    """The daemon ends while the server is away; the next one waits for its return, warms it and ends the restart."""
    hook = HookProgram(tmp_path)
    async with running_fleet([PROFILES["cold"]], scale=0.01) as fleet:
        name, settings = fleet.members[0].name, {"servers": fleet.urls, "restart": hook.settings()}
        async with daemon_in_process(tmp_path, settings) as running:
            await running.wait_for_state(name, "loaded")
            await request(running, name, HTTPStatus.ACCEPTED)
            await wait_until(lambda: hook.servers)
            await fleet.servers[0].go_down()
            assert (await running.wait_for_state(name, "restarting"))["restart"]["stage"] == "hook"
        async with daemon_in_process(tmp_path, settings) as running:
            assert (await running.wait_for_state(name, "restarting"))["reason"] == "hook_started"
            await fleet.servers[0].come_back()
            detail = await running.wait_for_state(name, "loaded")
            assert detail["restart"]["stage"] == "succeeded"
        async with daemon_in_process(tmp_path, settings) as running:
            assert (await running.wait_for_state(name, "loaded"))["restart"] == detail["restart"]
            await running.wait_for_detail(name, lambda one: one["counters"].get("to_loaded"))
            async with running.session.get(f"{running.address}/metrics") as response:
                assert 'outcome="succeeded"} 1.0' not in await response.text()
    assert hook.servers == [name]


async def test_draining_goes_on_in_the_next_run_of_the_daemon(tmp_path: Path) -> None:
    hook = HookProgram(tmp_path)
    async with running_fleet([PROFILES["loaded"]]) as fleet:
        name, settings = fleet.members[0].name, {"servers": fleet.urls, "restart": hook.settings()}
        async with daemon_in_process(tmp_path, settings) as running:
            await running.wait_for_state(name, "loaded")
            fleet.servers[0].start_foreign_job(2.0)
            await request(running, name, HTTPStatus.ACCEPTED)
            await running.wait_for_state(name, "draining")
        async with daemon_in_process(tmp_path, settings) as running:
            await wait_until(lambda: hook.servers)
            await fleet.servers[0].restart()
            await running.wait_for_detail(name, lambda one: one["restart"]["stage"] == "succeeded")
    assert hook.servers == [name]


async def test_triggers_restart_one_server_of_a_group_at_a_time(tmp_path: Path) -> None:
    """All servers are seen to be short of memory before the first restart is published."""
    hook = HookProgram(tmp_path)
    async with running_fleet([PROFILES["loaded"]] * 3) as fleet:
        for server in fleet.servers:
            server.ram_free = 2**30
        limits = {"timing": {"warm_timeout_s": 2}, "restart": hook.settings(max_ram_percent=50)}
        async with daemon_in_process(tmp_path, {"servers": fleet.urls, **limits}) as running:
            await wait_until(lambda: hook.servers)
            status = await running.get("/api/status")
            assert sorted(one["state"] for one in status["servers"]) == ["loaded", "loaded", "restarting"]
    assert len(hook.servers) == 1


WAITS = """
import pathlib
while not pathlib.Path(sys.argv[1] + ".go").exists():
    time.sleep(0.02)
pathlib.Path(sys.argv[1] + ".ended").touch()
"""
"""Lines of a hook that ends once it may."""


@pytest.mark.parametrize("action", ["pause", "reload"])
async def test_hook_that_has_begun_is_not_ended_by_a_pause_or_reload(tmp_path: Path, action: str) -> None:
    hook, path = HookProgram(tmp_path, WAITS), tmp_path / "settings.json"
    async with running_fleet([PROFILES["loaded"]]) as fleet:
        name, url, restart = fleet.members[0].name, fleet.urls[0], {"restart": hook.settings()}
        settings = {**COMMON, **restart, "servers": [url]}
        path.write_text(json.dumps(settings))
        source = SettingsFile(path, lambda: parse_settings(json.loads(path.read_text()), tmp_path, {}))
        async with daemon_in_process(tmp_path, settings, source=source) as running:
            await running.wait_for_state(name, "loaded")
            await request(running, name, HTTPStatus.ACCEPTED)
            await wait_until(lambda: hook.servers)
            if action == "pause":
                assert await running.post(f"/api/servers/{name}/pause") == HTTPStatus.ACCEPTED
                await running.wait_for_state(name, "paused")
            else:
                path.write_text(json.dumps({**settings, "servers": [{"url": url, "group": "other"}]}))
                await running.wait_for_detail(name, lambda one: one["group"] == "other")
                assert (await running.detail(name))["state"] == "restarting"
            (tmp_path / "hook.runs.go").touch()
            await wait_until((tmp_path / "hook.runs.ended").exists)
    assert hook.servers == [name]
