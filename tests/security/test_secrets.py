"""No secret leaks, even from failures that quote it.

Every setting that can hold a secret has one. The tests search the log file, stderr, stdout, the journal and every HTTP
response for them.
"""

import asyncio
import json
import re
import traceback
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

import tests.alerts.loading  # noqa: F401 - imported for its side effects
from statemachine.cli.main import app
from statemachine.settings import SettingsError, parse_settings
from tests.faults.process import Program
from tests.security.leaks import BASIC, ENVIRONMENT, SECRETS, SERVERS, Receiver, fronts, settings_over, write_workflow
from tests.support.daemon import DaemonClient, Json
from tests.support.polling import PATIENCE_S

UNPARSED = "unparsed-secret-31337"
"""A secret in a request that is not valid HTTP. It must not reach the log either."""
NEVER = [*SECRETS.values(), BASIC, UNPARSED]
ROUTES = ["/status", "/api/status", "/api/detailed_status", "/api/log", "/api/stats", "/api/route", "/api/http_sd"]
PROBES = [
    "/metrics",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/api/discovery",
    *(f"/api/servers/{name}" for name in SERVERS),
]
COMMANDS = [["status"], ["tail", "-n", "500"], ["check"], ["doctor"], ["warm", "no-such-server"]]

Output = dict[str, bytes]
"""Everything that was written, by where it was found."""


async def run(folder: Path, *arguments: str) -> bytes:
    """Run a command. Return its output, with the traceback if it raised."""
    command = ["--settings", str(folder / "settings.json"), *arguments]
    ended = await asyncio.to_thread(CliRunner().invoke, app, command, env={**ENVIRONMENT, "COLUMNS": "400"})
    trace = "".join(traceback.format_exception(ended.exception)) if ended.exception else ""
    return ended.stdout_bytes + ended.stderr_bytes + trace.encode()


async def responses(address: str, headers: dict[str, str]) -> Output:
    """Return the responses of all GET routes, and that of a POST with a wrong token."""
    output: Output = {}
    async with aiohttp.ClientSession(headers=headers) as session:
        for path in [*ROUTES, *PROBES]:
            async with session.get(address + path) as response:
                output[f"GET {path}"] = await response.read() + str(response.headers).encode()
        async with session.post(f"{address}/api/servers/gone/warm", headers={"Authorization": "Bearer no"}) as response:
            output["POST without the token"] = await response.read()
        async with session.get(f"{address}/api/events?since=0") as response:
            output["GET /api/events"] = await response.content.readuntil(b"gone")
    return output


async def send_invalid_http(address: str) -> bytes:
    """Send a request that no parser accepts. Its response goes to the sender only and is not searched."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: " + UNPARSED.encode() + b"\x00\r\n\r\n")
    response = await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    return response


async def until_every_failure_occurred(address: str, receiver: Receiver) -> None:
    """Wait until every server has failed in its own way and every alert was sent."""

    def holds(status: Json) -> bool:
        servers = {one["name"]: one for one in status["servers"]}
        states = {name: one["state"] for name, one in servers.items()}
        has_echo = "debug:" in str(servers["debug"]["check"]["raw"])
        is_down = (states["refused"], states["gone"]) == ("failed", "unreachable")
        return has_echo and is_down and len(receiver.paths) > 1

    async with aiohttp.ClientSession() as session:
        await DaemonClient(address, session).wait_for("/api/detailed_status", holds)


def files(folder: Path) -> Output:
    """Read every file in `folder` except the settings, which contain only variable names."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"}


def leaks(output: Output) -> list[str]:
    return [f"{secret} in {where}" for where, what in output.items() for secret in NEVER if secret.encode() in what]


async def test_failures_leak_no_secret(tmp_path: Path) -> None:
    receiver, program = Receiver(), Program(**ENVIRONMENT)
    write_workflow(tmp_path)
    output: Output = {}
    async with fronts() as made, receiver.listening():
        async with program.start(tmp_path, settings_over(made, receiver, 0)) as address:
            await until_every_failure_occurred(address, receiver)
            assert await send_invalid_http(address)
            output |= await responses(address, {})
            port = int(address.rpartition(":")[2])
            (tmp_path / "settings.json").write_text(json.dumps(settings_over(made, receiver, port)))
            for command in COMMANDS:
                output[" ".join(command)] = await run(tmp_path, *command)
            await reload_invalid_settings(tmp_path, program)
        (tmp_path / "settings.json").write_text(json.dumps(settings_over(made, receiver, port)))
        output["tail without a daemon"] = await run(tmp_path, "tail", "--json", "-n", "500")
    output["stderr"] = "\n".join(program.lines).encode()
    output |= files(tmp_path)
    assert leaks(output) == []
    check_search_was_complete(output, receiver)


async def reload_invalid_settings(folder: Path, program: Program) -> None:
    """Write invalid settings with a plain-text secret and wait until the running daemon rejects them."""
    invalid = {"servers": [f"http://operator:{SECRETS['USERINFO']}@127.0.0.1:1"], "listen": {"token": 7}}
    (folder / "settings.json").write_text(json.dumps(invalid))
    await program.until_logged("servers[0]")


def check_search_was_complete(output: Output, receiver: Receiver) -> None:
    """Check that the secrets were sent and that every place has output, so that finding none is meaningful."""
    assert {f"/hooks/{SECRETS['HOOK']}", f"/{SECRETS['SERVICE']}"} <= receiver.paths
    for place in ("stderr", "doctor", "GET /api/log", "tail -n 500", "tail without a daemon"):
        assert b"refused" in output[place], place
    for suffix in (".log", ".sqlite3"):
        assert any(where.endswith(suffix) and b"refused" in what for where, what in output.items()), suffix
    assert b"not with *** and ***" in output["GET /api/log"]


INVALID: dict[str, Any] = {
    "token": {"listen": {"token": "two words " + SECRETS["TOKEN"]}},
    "header": {"servers": [{"url": "http://127.0.0.1:1", "headers": {"A": f"line\n{SECRETS['DENIED']}"}}]},
    "userinfo": {"servers": [f"http://operator:{SECRETS['USERINFO']}@127.0.0.1:1"]},
    "query": {"servers": [f"http://127.0.0.1:1/?key={SECRETS['ECHOED']}"]},
    "service": {"alerts": {"channels": {"a": {"apprise": [f"nonsense://{SECRETS['SERVICE']}"]}}}},
    "webhook": {"alerts": {"channels": {"a": {"webhook": f"ftp://x/{SECRETS['HOOK']}", "secret": SECRETS["GONE"]}}}},
    "variable": {"language": "${HOOK_KEY}"},
}


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID)
def test_invalid_settings_error_has_no_secret(tmp_path: Path, data: Json) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"servers": ["http://127.0.0.1:1"], **data}, tmp_path, ENVIRONMENT)
    # With chained exceptions, as a traceback shows them.
    error = "".join(traceback.format_exception(caught.value))
    assert leaks({"error": error.encode()}) == []


async def test_settings_that_are_not_json_error_has_no_secret(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(f'{{"listen": {{"token": "{SECRETS["TOKEN"]}" "port"}}}}')
    error = await run(tmp_path, "status")
    assert re.search(rb"settings\.json:1:\d+: found invalid JSON", error)
    assert leaks({"stderr": error}) == []
