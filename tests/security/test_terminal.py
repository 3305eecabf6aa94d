"""Text from a server cannot control the operator's terminal."""

from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from statemachine.core.messages import verbatim
from statemachine.simulator import PROFILES
from tests.cli.rig import cli, small_daemon, write_settings
from tests.faults.proxy import Exchange, FaultProxy

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2028\x85"
CONTROL_CHARACTERS = {"\x1b", "\x07", "\x9b", "\u202e", "\u2028", "\x85"}


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


def other_daemon() -> web.Application:
    """Return another program at the daemon's address, which answers with control characters in every text."""
    entry: dict[str, object] = {
        **dict.fromkeys(("name", "group", "state", "reason", "message"), ESCAPES),
        "server": f"a{ESCAPES}",
    }
    entry |= {
        "cache_loaded": False,
        "progress": None,
        "queue_remaining": ESCAPES,
        "kind": "transition",
        "from": ESCAPES,
        "to": ESCAPES,
    }
    entry |= {"id": 1, "at": "2026-01-01T00:00:00Z", "since": "2026-01-01T00:00:00Z"}

    source: dict[str, object] = {
        **dict.fromkeys(("name", "kind", "error", "held"), ESCAPES),
        "refusals": [{"message": ESCAPES}],
        "refused_total": 1,
    }
    source |= {"servers": 1, "missing": 1, "failures": 1, "answered_at": None}
    group: dict[str, object] = {"servers": 1, "loaded": 1, "wanted": 1, "change": 0, "waiting": 0}
    group |= dict.fromkeys(("group", "reason", "message", "message_code"), ESCAPES)
    group |= dict.fromkeys(("arrivals_per_s", "run_s", "expected_wait_s"))

    async def answer(request: web.Request) -> web.Response:
        if request.method == "POST":
            if request.path.startswith("/api/groups"):
                return web.json_response({"servers": [ESCAPES, ESCAPES]})
            return web.json_response({"error": {"code": "x", "message": ESCAPES}}, status=409)
        whole: dict[str, object] = {
            "generated_at": "2026-01-01T00:00:00Z",
            "servers": [entry],
            "states": {ESCAPES: 1, "loaded": 0},
            "total": 1,
        }
        whole |= {"sources": [source], "groups": [group], "target_wait_s": 30.0}
        return web.json_response({**whole, "entries": [entry], "next": None})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["status", "--json"],
        ["wanted"],
        ["wanted", "--json"],
        ["warm", "a"],
        ["pause", "--group", "g"],
        ["tail"],
        ["tail", "--json"],
    ],
    ids=" ".join,
)
async def test_command_escapes_what_another_program_answers(tmp_path: Path, command: list[str], language: str) -> None:
    async with TestServer(other_daemon(), host="127.0.0.1") as server:
        settings = write_settings(tmp_path, listen={"port": server.port}, language=language)
        ended = await cli(settings, *command)
    output = ended.stdout + ended.stderr
    assert "1b[2J" in output
    assert not CONTROL_CHARACTERS & set(output)
