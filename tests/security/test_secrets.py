"""A secret in every place where a setting can hold one, every failure that could betray it, and then everything that
the daemon and the command line left is searched: log file, stderr and stdout, journal, and every HTTP answer."""

import asyncio
import json
import re
import traceback
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

import tests.alerts.loading  # noqa: F401 - imported for what it does
from statemachine.cli.main import app
from statemachine.settings import SettingsError, parse_settings
from tests.faults.process import Program
from tests.faults.scene import PATIENCE_S, Json
from tests.security.leaks import BASIC, ENVIRONMENT, SECRETS, SERVERS, Receiver, fronts, settings_over

STRANGERS = "strangers-secret-31337"
"""Of somebody who sends no proper HTTP: what he sent is none of the log's business either."""
NEVER = [*SECRETS.values(), BASIC, STRANGERS]
ROUTES = ["/status", "/api/status", "/api/detailed_status", "/api/log", "/api/stats", "/api/route", "/api/http_sd"]
PROBES = ["/metrics", "/healthz", "/readyz", "/openapi.json", *(f"/api/servers/{name}" for name in SERVERS)]
COMMANDS = [["status"], ["tail", "-n", "500"], ["check"], ["doctor"], ["warm", "nobody"]]

Left = dict[str, bytes]
"""Where something was found → what."""


async def run(folder: Path, *arguments: str) -> bytes:
    """All that a command says, its traceback too should it have one."""
    command = ["--settings", str(folder / "settings.json"), *arguments]
    ended = await asyncio.to_thread(CliRunner().invoke, app, command, env={**ENVIRONMENT, "COLUMNS": "400"})
    trace = "".join(traceback.format_exception(ended.exception)) if ended.exception else ""
    return ended.stdout_bytes + ended.stderr_bytes + trace.encode()


async def answers(address: str, headers: dict[str, str]) -> Left:
    """Every answer to a GET, and what is said to those who may not act."""
    left: Left = {}
    async with aiohttp.ClientSession(headers=headers) as session:
        for path in [*ROUTES, *PROBES]:
            async with session.get(address + path) as response:
                left[f"GET {path}"] = await response.read() + str(response.headers).encode()
        async with session.post(f"{address}/api/servers/gone/warm", headers={"Authorization": "Bearer no"}) as response:
            left["POST without the token"] = await response.read()
        async with session.get(f"{address}/api/events?since=0") as response:
            left["GET /api/events"] = await response.content.readuntil(b"gone")
    return left


async def speak_no_http(address: str) -> bytes:
    """A stranger's request that no parser takes; the answer goes to him alone and is not searched."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: " + STRANGERS.encode() + b"\x00\r\n\r\n")
    said = await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    return said


async def until_every_failure_was_met(address: str, receiver: Receiver) -> None:
    """Every server has failed in its way and every alert was tried."""
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{address}/api/detailed_status") as response:
                servers = {one["name"]: one for one in (await response.json())["servers"]}
            states = {name: one["state"] for name, one in servers.items()}
            has_echo = "debug:" in str(servers["debug"]["check"]["raw"])
            if (
                has_echo
                and states["refused"] == "failed"
                and states["gone"] == "unreachable"
                and len(receiver.paths) > 1
            ):
                return
            await asyncio.sleep(0.05)


def files(folder: Path) -> Left:
    """Every file that was left behind, but for the settings, which name only the variables."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"}


def betrayed(left: Left) -> list[str]:
    return [f"{secret} in {where}" for where, what in left.items() for secret in NEVER if secret.encode() in what]


async def test_no_secret_is_left_anywhere(tmp_path: Path) -> None:
    receiver, program = Receiver(), Program(**ENVIRONMENT)
    left: Left = {}
    async with fronts() as made, receiver.listening():
        async with program.start(tmp_path, settings_over(made, receiver, 0)) as address:
            await until_every_failure_was_met(address, receiver)
            assert await speak_no_http(address)
            left |= await answers(address, {})
            port = int(address.rpartition(":")[2])
            (tmp_path / "settings.json").write_text(json.dumps(settings_over(made, receiver, port)))
            for command in COMMANDS:
                left[" ".join(command)] = await run(tmp_path, *command)
            await refuse_a_reload(tmp_path, program)
        (tmp_path / "settings.json").write_text(json.dumps(settings_over(made, receiver, port)))
        left["tail without a daemon"] = await run(tmp_path, "tail", "--json", "-n", "500")
    left["stderr"] = "\n".join(program.lines).encode()
    left |= files(tmp_path)
    assert betrayed(left) == []
    were_searched(left, receiver)


async def refuse_a_reload(folder: Path, program: Program) -> None:
    """The settings are spoiled under the running daemon, beside a secret that stands there in plain text."""
    spoiled = {"servers": [f"http://operator:{SECRETS['USERINFO']}@127.0.0.1:1"], "listen": {"token": 7}}
    (folder / "settings.json").write_text(json.dumps(spoiled))
    await program.until_logged("servers[0]")


def were_searched(left: Left, receiver: Receiver) -> None:
    """That nothing is found would mean nothing, had the secrets not been sent and the places not been filled."""
    assert {f"/hooks/{SECRETS['HOOK']}", f"/{SECRETS['SERVICE']}"} <= receiver.paths
    for place in ("stderr", "doctor", "GET /api/log", "tail -n 500", "tail without a daemon"):
        assert b"refused" in left[place], place
    for suffix in (".log", ".sqlite3"):
        assert any(where.endswith(suffix) and b"refused" in what for where, what in left.items()), suffix
    assert b"not with ***" in left["GET /api/log"]


WRONG: dict[str, Any] = {
    "token": {"listen": {"token": "two words " + SECRETS["TOKEN"]}},
    "header": {"servers": [{"url": "http://127.0.0.1:1", "headers": {"A": f"line\n{SECRETS['DENIED']}"}}]},
    "userinfo": {"servers": [f"http://operator:{SECRETS['USERINFO']}@127.0.0.1:1"]},
    "query": {"servers": [f"http://127.0.0.1:1/?key={SECRETS['ECHOED']}"]},
    "service": {"alerts": {"channels": {"a": {"apprise": [f"nonsense://{SECRETS['SERVICE']}"]}}}},
    "webhook": {"alerts": {"channels": {"a": {"webhook": f"ftp://x/{SECRETS['HOOK']}", "secret": SECRETS["GONE"]}}}},
    "variable": {"language": "${HOOK_KEY}"},
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_settings_that_are_wrong_are_refused_without_their_secrets(tmp_path: Path, data: Json) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"servers": ["http://127.0.0.1:1"], **data}, tmp_path, ENVIRONMENT)
    # With the exceptions behind it, as a traceback would show them.
    said = "".join(traceback.format_exception(caught.value))
    assert betrayed({"the error": said.encode()}) == []


async def test_settings_that_are_no_json_are_refused_without_their_text(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(f'{{"listen": {{"token": "{SECRETS["TOKEN"]}" "port"}}}}')
    said = await run(tmp_path, "status")
    assert re.search(rb"settings\.json:1:\d+: found no JSON", said)
    assert betrayed({"stderr": said}) == []
