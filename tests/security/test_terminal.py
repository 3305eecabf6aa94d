"""What a server says cannot make the operator's terminal do anything."""

from pathlib import Path

import pytest
from aiohttp import web

from statemachine.simulator import PERSONAS
from tests.cli.rig import cli, small_daemon, write_settings
from tests.faults.front import Exchange, Front

CODES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"
OBEYED = {"\x1b", "\x07", "\x9b", "\u202e"}


async def hostile(_: Exchange) -> web.StreamResponse:
    return web.Response(text=f"cache: {CODES}\r\n fine", headers={"Content-Type": "text/plain; charset=utf-8"})


@pytest.mark.parametrize("command", ["check", "doctor"])
async def test_of_a_checks_words(tmp_path: Path, command: str) -> None:
    front = Front(PERSONAS["loaded"])
    front.bends["GET /cache/check"] = hostile
    async with front.listening():
        settings = write_settings(tmp_path, servers=[front.url], cache_check={"kind": "text"})
        ended = await cli(settings, command)
    assert "\\x1b" in ended.stdout
    assert not OBEYED & set(ended.stdout)


async def test_of_a_message_that_the_daemon_passes_on(tmp_path: Path) -> None:
    async with small_daemon(tmp_path) as daemon:
        daemon.views = [view._replace(message=f"node 1 raised {CODES}") for view in daemon.views]
        await daemon.stop()
        await daemon.start()
        ended = await cli(daemon.settings(), "status")
    assert "\\x1b[2J" in ended.stdout
    assert not OBEYED & set(ended.stdout)
