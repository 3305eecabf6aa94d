"""Text from a server cannot control the operator's terminal."""

from pathlib import Path

import pytest
from aiohttp import web

from statemachine.core.messages import verbatim
from statemachine.simulator import PROFILES
from tests.cli.rig import cli, small_daemon, write_settings
from tests.faults.proxy import Exchange, FaultProxy

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"
CONTROL_CHARACTERS = {"\x1b", "\x07", "\x9b", "\u202e"}


async def hostile(_: Exchange) -> web.StreamResponse:
    return web.Response(text=f"cache: {ESCAPES}\r\n fine", headers={"Content-Type": "text/plain; charset=utf-8"})


@pytest.mark.parametrize("command", ["check", "doctor"])
async def test_check_and_doctor_escape_control_characters(tmp_path: Path, command: str) -> None:
    proxy = FaultProxy(PROFILES["loaded"])
    proxy.responders["GET /cache/check"] = hostile
    async with proxy.listening():
        settings = write_settings(tmp_path, servers=[proxy.url], cache_check={"kind": "text"})
        ended = await cli(settings, command)
    assert "\\x1b" in ended.stdout
    assert not CONTROL_CHARACTERS & set(ended.stdout)


async def test_status_escapes_control_characters_in_message(tmp_path: Path) -> None:
    async with small_daemon(tmp_path) as daemon:
        daemon.views = [view._replace(message=verbatim(f"node 1 raised {ESCAPES}")) for view in daemon.views]
        await daemon.stop()
        await daemon.start()
        ended = await cli(daemon.settings(), "status")
    assert "\\x1b[2J" in ended.stdout
    assert not CONTROL_CHARACTERS & set(ended.stdout)
