"""Servers that speak only https: with a certificate that is trusted, with one that is not, and asked by http."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from statemachine.core.vocabulary import Reason, State
from tests.comfyui.daemon import doctor, running_over, warm_ups_in
from tests.comfyui.rig import HOST, RealServer, Rig, cache_workflow
from tests.security.authority import Authority

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("tls")]

FLOW = cache_workflow("a", seconds=0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealServer]:
    rig = Rig(tmp_path_factory.mktemp("tls"))
    server = rig.server(workflow=FLOW, tls=authority.certify(HOST))
    try:
        await server.start()
        yield server
    finally:
        rig.end()


async def test_server_with_trusted_certificate_is_warmed(
    server: RealServer, authority: Authority, tmp_path: Path
) -> None:
    tls = {"ca_file": str(authority.file)}
    async with running_over(tmp_path, [server], {"flow": FLOW}, tls=tls) as daemon:
        detail = await daemon.wait_state(server, State.LOADED.value)
        assert detail["attempts"][0]["confirmed_by"] == "ws"
    assert len(warm_ups_in(await server.history())) == 1
    code, text = await doctor(tmp_path, server, {"flow": FLOW}, tls=tls)
    assert f"✓ {server.url} is a ComfyUI server" in text
    assert "✓ --tls-keyfile: the server speaks only https" in text
    assert code == 0


async def test_server_with_unknown_certificate_is_unreachable(server: RealServer, tmp_path: Path) -> None:
    posted = len(await server.history())
    async with running_over(tmp_path, [server], {"flow": FLOW}) as daemon:
        detail = await daemon.wait_state(server, State.UNREACHABLE.value)
        assert detail["reason"] == Reason.NOT_ANSWERING
        assert "the certificate is not trusted" in detail["message"]
        assert "set tls.ca_file" in detail["message"]
    assert len(await server.history()) == posted
    code, text = await doctor(tmp_path, server, {"flow": FLOW})
    assert code == 1
    assert '"tls": {"ca_file":' in text


async def test_server_of_https_asked_by_http_is_unreachable(server: RealServer, tmp_path: Path) -> None:
    url = server.url.replace("https:", "http:")
    async with running_over(tmp_path, [server], {"flow": FLOW}, servers=[url]) as daemon:
        detail = await daemon.wait_state(server, State.UNREACHABLE.value)
        assert detail["reason"] == Reason.NOT_ANSWERING
        assert "use https:// in the URL" in detail["message"]
    code, text = await doctor(tmp_path, server, {"flow": FLOW}, servers=[url])
    assert code == 1
    assert f"✗ {url} speaks only https → use https:// in the URL" in text
