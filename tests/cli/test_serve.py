"""Errors of `serve` that keep the daemon from running."""

import asyncio
import json
from pathlib import Path

import aiohttp

from statemachine.daemon.app import running_daemon
from statemachine.daemon.process import hold_lock
from statemachine.settings import load_settings
from tests.cli.rig import SmallDaemon, cli, write_settings
from tests.support.daemon import DaemonClient, command
from tests.support.polling import PATIENCE_S


async def refusal(settings: Path) -> str:
    """Return the errors of `serve`, which must exit with code 1."""
    async with command(settings, "serve") as process:
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 1
    text = errors.decode()
    assert "Traceback" not in text
    return text


async def test_serve_port_in_use_names_the_port(daemon: SmallDaemon, tmp_path: Path) -> None:
    text = await refusal(daemon.settings(data_dir=str(tmp_path / "own")))
    assert "the daemon cannot run" in text
    assert str(daemon.port) in text


async def test_serve_data_folder_in_use_fails(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "data"):
        text = await refusal(write_settings(tmp_path, listen={"port": 0}))
    assert "another daemon is already running" in text


async def test_commands_find_the_daemon_at_its_own_port(tmp_path: Path) -> None:
    path = write_settings(tmp_path, listen={"port": 0}, logging={"file": None})
    async with running_daemon(load_settings(path, {})):
        found = await cli(path, "status", "--json")
        assert json.loads(found.stdout)["total"] == 1
    gone = await cli(path, "status")
    assert gone.exit_code == 1
    assert f"no daemon runs in {tmp_path / 'data'}" in gone.stderr


async def test_serve_missing_workflow_file_fails_only_its_servers(tmp_path: Path) -> None:
    servers = [{"url": "http://127.0.0.1:9", "workflows": ["nothing_here"]}, "http://127.0.0.1:10"]
    path = write_settings(tmp_path, servers=servers, listen={"port": 0}, logging={"file": None})
    async with running_daemon(load_settings(path, {})) as daemon, aiohttp.ClientSession() as session:
        broken = await DaemonClient(daemon.address, session).wait_for_state("127.0.0.1:9", "failed")
        await DaemonClient(daemon.address, session).wait_for_state("127.0.0.1:10", "unreachable")
    assert broken["reason"] == "workflow_missing"
    assert "nothing_here.json" in broken["message"]
