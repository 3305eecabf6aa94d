"""Restart hooks: the command with its environment, limits and output, and the request."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from statemachine.core.restart import Restart, RestartCause
from statemachine.repair.hooks import Hooks
from statemachine.repair.port import HookError, NoHooks
from statemachine.settings import SettingsError, parse_settings, resolve_servers
from statemachine.settings.restarts import RestartSettings
from statemachine.settings.servers import ServerConfig
from tests.support.polling import wait_until

RESTART = Restart("r1", "gpu 1", RestartCause.OPERATOR, 0.0)
SECRET = SecretStr("a-secret-of-the-settings")


def server(url: str = "http://127.0.0.1:1", **restart: Any) -> ServerConfig:
    entry = {"url": url, "name": "gpu 1", "group": "lab/1".replace("/", "-"), "headers": {"X-Own": "own-token"}}
    settings = parse_settings({"servers": [entry], "restart": restart}, Path("/"), {})
    return resolve_servers(settings)[0]


async def run(config: ServerConfig) -> None:
    await Hooks(lambda _: None, lambda: [SECRET]).run(config, RESTART)


async def failure(config: ServerConfig) -> str:
    with pytest.raises(HookError) as caught:
        await run(config)
    return str(caught.value)


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


async def test_command_gets_server_and_restart_in_its_environment(tmp_path: Path) -> None:
    names = ("SERVER", "SERVER_URL", "GROUP", "RESTART_ID")
    code = f"import os,sys; open(sys.argv[1],'w').write('|'.join(os.environ['COMFYWARM_'+n] for n in {names}))"
    await run(server("http://127.0.0.1:1", command=python(code, str(tmp_path / "seen"))))
    assert (tmp_path / "seen").read_text() == "gpu 1|http://127.0.0.1:1|lab-1|r1"


async def test_arguments_are_not_read_by_a_shell(tmp_path: Path) -> None:
    code = "import sys; open(sys.argv[1],'w').write(sys.argv[2])"
    await run(server(command=python(code, str(tmp_path / "seen"), "$(id); `id` && * > x")))
    assert (tmp_path / "seen").read_text() == "$(id); `id` && * > x"


async def test_command_that_fails_shows_the_end_of_its_output_masked() -> None:
    code = (
        "import sys; print('x' * 100000); print('no such unit a-secret-of-the-settings', file=sys.stderr); sys.exit(4)"
    )
    said = await failure(server(command=python(code)))
    assert "status 4" in said
    assert "no such unit ***" in said
    assert SECRET.get_secret_value() not in said
    assert len(said) < 2_200


async def test_command_beyond_its_time_is_killed_with_its_children(tmp_path: Path) -> None:
    child = "import os,sys,time; open(sys.argv[1],'w').write(str(os.getpid())); time.sleep(60)"
    code = f"import subprocess,sys; subprocess.run([sys.executable,'-c',{child!r},sys.argv[1]])"
    said = await failure(server(command=python(code, str(tmp_path / "pid")), hook_timeout_s=2))
    assert "did not end within 2 s" in said
    await wait_until(lambda: not alive(int((tmp_path / "pid").read_text())))


async def test_cancelled_hook_is_killed(tmp_path: Path) -> None:
    code = "import os,sys,time; open(sys.argv[1],'w').write(str(os.getpid())); time.sleep(60)"
    running = asyncio.create_task(run(server(command=python(code, str(tmp_path / "pid")))))
    await wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await wait_until(lambda: not alive(int((tmp_path / "pid").read_text())))


async def test_endless_output_is_read_and_forgotten() -> None:
    code = "import sys\nwhile True: sys.stdout.write('y' * 65536)"
    said = await failure(server(command=python(code), hook_timeout_s=1))
    assert "did not end" in said
    assert len(said) < 2_200


async def test_program_left_behind_does_not_hold_up_the_hook(tmp_path: Path) -> None:
    child = "import time; time.sleep(30)"
    code = f"import subprocess as s,sys; open(sys.argv[1],'w').write(str(s.Popen([sys.executable,'-c',{child!r}]).pid))"
    await run(server(command=python(code, str(tmp_path / "pid"))))
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    os.kill(pid, 9)


def alive(pid: int) -> bool:
    """Return whether the process runs; one that only waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.parametrize("command", [["/no/such/program"], ["/"], ["no-such-hook"]])
async def test_command_that_cannot_be_started_says_so(command: list[str]) -> None:
    said = await failure(server(command=command))
    assert f"cannot be started: {command[0]}: " in said
    assert "[Errno" not in said


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Serve every path on loopback; yield the address and the requests."""
    requests: list[web.Request] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        await request.read()
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", requests
    finally:
        await runner.cleanup()


async def accepted(_: web.Request) -> web.Response:
    return web.Response(status=202)


async def ends(request: web.Request) -> web.Response:
    """End the connection without an answer, as a reboot route does."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def forbidden(_: web.Request) -> web.Response:
    return web.Response(status=403, text="security level own-token hook-token")


async def hangs(_: web.Request) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


async def test_request_to_the_server_has_its_headers() -> None:
    async with answering(accepted) as (url, (requests)):
        await run(server(url, http={"url": "/manager/reboot", "headers": {"X-More": "m"}}))
    (request,) = requests
    assert (request.method, request.path) == ("POST", "/manager/reboot")
    assert (request.headers["X-Own"], request.headers["X-More"]) == ("own-token", "m")


async def test_request_elsewhere_has_only_its_own_headers_and_names_the_server() -> None:
    async with answering(accepted) as (url, requests):
        hook = {"url": f"{url}/v1/{{group}}/{{name}}/reboot", "method": "PUT", "headers": {"X-More": "m"}, "body": "{}"}
        await run(server(http=hook))
    (request,) = requests
    assert (request.method, request.raw_path) == ("PUT", "/v1/lab-1/gpu%201/reboot")
    assert "X-Own" not in request.headers
    assert await request.text() == "{}"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_connection_that_the_restart_ends_is_success_and_sent_once(method: str) -> None:
    async with answering(ends) as (url, requests):
        await run(server(url, http={"url": "/manager/reboot", "method": method}))
    assert len(requests) == 1


async def test_connection_that_another_program_ends_is_a_failure() -> None:
    async with answering(ends) as (url, requests):
        assert "not answered" in await failure(server(http={"url": f"{url}/reboot"}))
    assert len(requests) == 1


async def test_refused_request_shows_status_and_answer_masked() -> None:
    async with answering(forbidden) as (url, _):
        said = await failure(server(url, http={"url": "/reboot", "headers": {"Authorization": "hook-token"}}))
    assert "403" in said
    assert "security level *** ***" in said


async def test_request_without_an_answer_ends_in_time() -> None:
    async with answering(hangs) as (url, _):
        assert "within 0.5 s" in await failure(server(url, http={"url": "/reboot"}, hook_timeout_s=0.5))


async def test_request_to_a_closed_port_is_a_failure() -> None:
    assert "not answered" in await failure(server("http://127.0.0.1:9", http={"url": "/reboot"}))


async def test_fleet_without_hooks_refuses() -> None:
    with pytest.raises(HookError, match="gpu 1 has no restart hook"):
        await NoHooks().run(server(), RESTART)


async def test_server_without_hook_runs_nothing() -> None:
    await run(replace(server(), restart=RestartSettings()))


async def test_command_gets_no_variable_that_holds_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_SETTINGS", SECRET.get_secret_value())
    monkeypatch.setenv("OF_THE_HOOK", "kept")
    await run(
        server(command=python("import os; assert 'OF_THE_SETTINGS' not in os.environ; os.environ['OF_THE_HOOK']"))
    )


async def echo(request: web.Request) -> web.Response:
    """Quote the request's path and query, as an error page does."""
    return web.Response(status=404, text=f"no route {request.raw_path} for {request.match_info['path']}")


@pytest.mark.parametrize(
    ("path", "secret"),
    [
        ("/services/T0A1B2C3D/xoxbtokenoflettersonly", "xoxbtokenoflettersonly"),
        ("/v1/abc123def456/{name}/reboot", "abc123def456"),
        ("/hook?key=the-key-of-it&name={name}", "the-key-of-it"),
    ],
)
async def test_secret_in_the_url_of_a_hook_is_masked(path: str, secret: str) -> None:
    async with answering(echo) as (url, _):
        said = await failure(server(http={"url": url + path}))
    assert "404" in said
    assert secret not in said


async def test_route_of_the_server_itself_is_shown() -> None:
    async with answering(echo) as (url, _):
        assert "/manager/reboot" in await failure(server(url, http={"url": "/manager/reboot"}))


def test_login_in_the_url_of_a_hook_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        server(http={"url": "https://user:pass-word-1@cloud.example/reboot"})
    assert "restart.http.url" in str(caught.value)
    assert "pass-word-1" not in str(caught.value)
