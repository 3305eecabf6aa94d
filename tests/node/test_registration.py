"""The node registers its server at the daemons that the environment names."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.node.conftest import FakeComfyUI
from tests.security.authority import Authority
from tests.support.polling import wait_until


class FakeDaemon:
    """Records registrations and answers with `status` and `answer`."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.tokens: list[str | None] = []
        self.status = 200
        self.answer: Any = {"heartbeat_s": 0.05}
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        self.tokens.append(request.headers.get("Authorization"))
        return web.json_response(self.answer, status=self.status)


@asynccontextmanager
async def fake_daemon() -> AsyncIterator[FakeDaemon]:
    daemon = FakeDaemon()
    app = web.Application()
    app.router.add_post("/api/register", daemon.handle)
    async with TestServer(app) as server:
        daemon.url = str(server.make_url("/"))
        yield daemon


@asynccontextmanager
async def registering(comfyui: FakeComfyUI, daemon: FakeDaemon, **environ: str) -> AsyncIterator[None]:
    comfyui.server.port = 8188
    one = comfyui.module("registration").Registration(daemon.url, environ)
    task = asyncio.ensure_future(one.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_server_registers_at_every_heartbeat(comfyui: FakeComfyUI) -> None:
    async with fake_daemon() as daemon, registering(comfyui, daemon, COMFYWARM_LABELS="pool=large, zone=a"):
        await wait_until(lambda: len(daemon.bodies) >= 3)
    expected = {"address": "http://127.0.0.1:8188", "labels": {"pool": "large", "zone": "a"}}
    assert all(body == expected for body in daemon.bodies)
    assert daemon.tokens[0] is None


async def test_address_and_token_come_from_the_environment(comfyui: FakeComfyUI) -> None:
    environ = {"COMFYWARM_ADDRESS": "https://gpu.example.com/comfy", "COMFYWARM_TOKEN": "geheim"}
    async with fake_daemon() as daemon, registering(comfyui, daemon, **environ):
        await wait_until(lambda: daemon.bodies)
    assert daemon.bodies[0] == {"address": "https://gpu.example.com/comfy", "labels": {}}
    assert daemon.tokens[0] == "Bearer geheim"


async def test_refused_server_tries_again_and_logs_once(comfyui: FakeComfyUI, caplog: pytest.LogCaptureFixture) -> None:
    comfyui.module("registration").RETRY_BASE_S = 0.01
    caplog.set_level("INFO", "comfywarm")
    async with fake_daemon() as daemon:
        daemon.status, daemon.answer = 401, {"error": {"code": "token_required"}}
        async with registering(comfyui, daemon, COMFYWARM_TOKEN="geheim"):
            await wait_until(lambda: len(daemon.bodies) >= 3)
            daemon.status, daemon.answer = 200, {"heartbeat_s": 0.05}
            await wait_until(lambda: any("registered at" in line for line in caplog.messages))
    warnings = [line for line in caplog.messages if "cannot register" in line]
    assert len(warnings) == 1
    assert "status 401" in warnings[0]
    assert "geheim" not in "".join(caplog.messages)


@pytest.mark.parametrize("answer", [{}, [], {"heartbeat_s": "soon"}, {"heartbeat_s": -5}])
async def test_strange_answer_keeps_a_bounded_heartbeat(comfyui: FakeComfyUI, answer: Any) -> None:
    module = comfyui.module("registration")
    assert 0.05 <= module._heartbeat_s(answer) <= module.HEARTBEAT_S


async def test_server_that_does_not_listen_yet_does_not_register(comfyui: FakeComfyUI) -> None:
    async with fake_daemon() as daemon:
        one = comfyui.module("registration").Registration(daemon.url, {})
        task = asyncio.ensure_future(one.run())
        await asyncio.sleep(0.5)
        assert daemon.bodies == []
        comfyui.server.port = 8188
        await wait_until(lambda: daemon.bodies)
        task.cancel()


async def test_environment_names_the_daemons(comfyui: FakeComfyUI) -> None:
    daemons = comfyui.module("registration").daemons
    assert daemons({}) == []
    assert daemons({"COMFYWARM_DAEMON": "http://a:8799, https://b"}) == ["http://a:8799", "https://b"]


@pytest.mark.parametrize("daemon", ["gpu-master:8799", "10.0.0.5:8799", "ftp://master", "http://", "http://a:99999"])
async def test_daemon_that_is_not_a_url_is_logged(
    comfyui: FakeComfyUI, caplog: pytest.LogCaptureFixture, daemon: str
) -> None:
    comfyui.server.port = 8188
    await asyncio.wait_for(comfyui.module("registration").Registration(daemon, {}).run(), 5)
    assert "is not a URL such as http://" in caplog.messages[0]


async def test_message_of_the_daemon_is_logged(comfyui: FakeComfyUI, caplog: pytest.LogCaptureFixture) -> None:
    async with fake_daemon() as daemon:
        daemon.status, daemon.answer = 409, {"error": {"code": "name_taken", "message": "another server has the name"}}
        async with registering(comfyui, daemon):
            await wait_until(lambda: any("status 409: another server has the name" in one for one in caplog.messages))


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1", True), ("127.0.0.1,::1", True), ("0.0.0.0,::", False), ("127.0.0.1,192.0.2.1", False), ("", False)],
)
async def test_server_that_only_its_machine_reaches_is_not_registered_elsewhere(
    comfyui: FakeComfyUI, listen: str, *, expected: bool
) -> None:
    comfyui.add_module("comfy.cli_args", args=SimpleNamespace(listen=listen))
    module = comfyui.module("registration")
    assert module.comfy.listens_on_loopback_only() is expected
    module.require_listening("127.0.0.1")
    with pytest.raises(module.RefusedError, match="--listen, or set COMFYWARM_ADDRESS") if expected else nullcontext():
        module.require_listening("192.0.2.1")


async def test_daemon_with_a_private_certificate_is_trusted_by_its_file(comfyui: FakeComfyUI, tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    daemon, app = FakeDaemon(), web.Application()
    app.router.add_post("/api/register", daemon.handle)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=ca.certify("127.0.0.1").server_context())
    try:
        daemon.url = str(server.make_url("/"))
        async with registering(comfyui, daemon):
            await asyncio.sleep(0.3)
            assert daemon.bodies == []
        async with registering(comfyui, daemon, COMFYWARM_CA_FILE=str(ca.file)):
            await wait_until(lambda: daemon.bodies)
    finally:
        await server.close()
