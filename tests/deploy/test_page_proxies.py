"""Real nginx and HAProxy in front of the page: strangers can read but not act; the log names who acts with a token."""

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from statemachine.daemon.app import Daemon, running_daemon
from statemachine.settings import parse_settings
from tests.deploy.haproxy_harness import PATIENCE_S
from tests.security.authority import Authority
from tests.support.daemon import COMMON
from tests.support.paths import DEPLOY
from tests.support.polling import wait_until
from tests.support.ports import free_port

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.skipif(not (shutil.which("haproxy") and shutil.which("nginx")), reason="run make test-deploy"),
]

NAME = "warm.example.org"
SERVER = "127.0.0.1:9"
TOKENS = {"alice": "token-of-alice-1", "bob": {"token": "token-of-bob-22", "may": "read"}}

PLAIN_NGINX = "server { listen 127.0.0.1:FRONT; location / { proxy_pass http://127.0.0.1:8799; } }"
PLAIN_HAPROXY = """
defaults
    mode http
    timeout client 1m
    timeout connect 5s
    timeout server 1m
listen page
    bind 127.0.0.1:FRONT
    server comfywarm 127.0.0.1:8799
"""
NGINX_FRAME = """
daemon off; pid FOLDER/nginx.pid; error_log stderr;
events {{ }}
http {{ access_log off; client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy; fastcgi_temp_path FOLDER/f;
uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
{server} }}
"""


@asynccontextmanager
async def daemon(folder: Path, **listen: Any) -> AsyncIterator[Daemon]:
    data = {**COMMON, "servers": [f"http://{SERVER}"], "listen": {"port": 0, **listen}}
    async with running_daemon(parse_settings(data, folder, {})) as running:
        yield running


@asynccontextmanager
async def proxied(folder: Path, text: str, page: Daemon) -> AsyncIterator[int]:
    """Run nginx or HAProxy with this configuration in front of the daemon; yield its port."""
    front, back = free_port(), page.address.rpartition(":")[2]
    text = text.replace("192.0.2.1:443", f"127.0.0.1:{front}").replace("FRONT", str(front))
    text = text.replace("127.0.0.1:8799", f"127.0.0.1:{back}").replace("/etc/comfywarm", str(folder))
    text = text.replace("/etc/ssl/warm", str(folder / "page"))
    path = folder / "proxy.conf"
    if "proxy_pass" in text:
        path.write_text(NGINX_FRAME.format(server=text).replace("FOLDER", str(folder)), encoding="utf-8")
        command = ["nginx", "-e", "stderr", "-c", str(path)]
    else:
        path.write_text(text, encoding="utf-8")
        command = ["haproxy", "-db", "-f", str(path)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        await wait_until(lambda: process.returncode is not None or is_open(front))
        assert process.returncode is None, f"{command[0]} rejected its configuration"
        yield front
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE_S)


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Stranger:
    """A client of the proxy."""

    def __init__(self, session: aiohttp.ClientSession, url: str, host: str) -> None:
        self._session = session
        self._url = url
        self._host = host

    async def status(self, method: str, path: str, token: str = "", origin: str = "") -> int:
        given = {"Authorization": f"Bearer {token}" if token else "", "Origin": origin}
        headers = {"Host": self._host, **{name: value for name, value in given.items() if value}}
        async with self._session.request(method, self._url + path, headers=headers) as response:
            return response.status

    async def pause(self, token: str = "") -> int:
        return await self.status("POST", f"/api/servers/{SERVER}/pause", token)


@pytest.mark.parametrize("text", [PLAIN_NGINX, PLAIN_HAPROXY], ids=["nginx", "haproxy"])
async def test_stranger_behind_plain_proxy_reads_but_does_not_act(tmp_path: Path, text: str) -> None:
    async with (
        daemon(tmp_path) as page,
        proxied(tmp_path, text, page) as port,
        aiohttp.ClientSession() as session,
    ):
        stranger = Stranger(session, f"http://127.0.0.1:{port}", "192.0.2.1")
        assert await stranger.status("GET", "/api/status") == 200
        assert await stranger.pause() == 403
        assert await Stranger(session, page.address, "localhost").pause() == 202


@pytest.mark.parametrize(
    ("file", "path"), [("nginx/comfywarm.conf", ""), ("nginx/sub-path.conf", "/comfywarm"), ("haproxy/page.cfg", "")]
)
async def test_shipped_proxy_lets_clients_act_by_name(tmp_path: Path, file: str, path: str) -> None:
    authority = Authority(tmp_path)
    pair = authority.certify("127.0.0.1")
    context = ssl.create_default_context(cafile=authority.file)
    (tmp_path / "page.key").write_bytes(pair.key.read_bytes())
    (tmp_path / "page.pem").write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    async with (
        daemon(tmp_path, hosts=[NAME], tokens=TOKENS) as page,
        proxied(tmp_path, (DEPLOY / file).read_text(encoding="utf-8"), page) as port,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
    ):
        host = f"{NAME}:{port}"
        stranger = Stranger(session, f"https://127.0.0.1:{port}{path}", host)
        assert await stranger.status("GET", "/status") == 200
        assert await stranger.status("GET", "/") == 200
        assert await stranger.status("GET", "/static/main.js", origin=f"https://{host}") == 200
        assert await stranger.status("GET", "/static/main.js", origin="https://example.com") == 403
        assert [await stranger.pause(), await stranger.pause("token-of-bob-22")] == [401, 403]
        async with session.get(f"https://127.0.0.1:{port}{path}/api/events", headers={"Host": host}) as stream:
            assert await stranger.pause("token-of-alice-1") == 202
            async with asyncio.timeout(PATIENCE_S):
                while b'"by":"alice"' not in await stream.content.readline():
                    pass
