"""Simulated servers that take almost no memory: all are loaded, and they share their answers."""

import asyncio
from functools import cache
from random import Random
from urllib.parse import parse_qsl, unquote

from typing_extensions import override

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.transport import Receive, Reply, Report, Transport, no_report
from statemachine.settings import ServerConfig, Settings, resolve_servers
from statemachine.settings.expand import MAX_SERVERS
from statemachine.simulator import PROFILES, SimServer
from statemachine.simulator.http import Request
from statemachine.simulator.routes import respond

LATENCY_S = 0.002
PORT = 8188
FIRST_FRAME = '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}, "sid": "s"}}'


class LoadedTransport(Transport):
    """A transport to a server that is loaded."""

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        """Return the answer of every loaded server."""
        await asyncio.sleep(LATENCY_S)
        return answer(method, path)

    @override
    async def connect(self, client_id: str) -> "QuietSocket":
        """Open a connection on which nothing happens."""
        await asyncio.sleep(LATENCY_S)
        return QuietSocket()


class QuietSocket:
    """A /ws connection on which only the first frame arrives."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    async def listen(self, receive: Receive, report: Report = no_report) -> None:
        """Receive the first frame, and wait until the connection is closed."""
        receive(FIRST_FRAME)
        await self._closed.wait()
        raise NotAnsweringError("closed")

    def hide(self, text: str) -> str:
        """Return the text: the server was sent no secrets."""
        return text

    async def close(self) -> None:
        """End the connection."""
        self._closed.set()


@cache
def answer(method: str, target: str) -> Reply:
    """Return the answer of a simulated server to a request without a body."""
    path, _, query = target.partition("?")
    response = respond(_model(), Request(method, unquote(path), dict(parse_qsl(query))))
    return Reply(response.status, response.body)


@cache
def _model() -> SimServer:
    return SimServer(PROFILES["loaded"], Random(1))


def settings_of(check_interval_s: int) -> Settings:
    """Return settings without servers."""
    return Settings.model_validate({"timing": {"check_interval_s": check_interval_s}})


def servers_of(settings: Settings, count: int) -> tuple[ServerConfig, ...]:
    """Return the configurations of so many servers. A settings file has at most 20,000, sources have as many each."""
    urls = [f"http://10.{n // 62_500}.{n // 250 % 250}.{n % 250 + 1}:{PORT}" for n in range(count)]
    parts = [urls[start : start + MAX_SERVERS] for start in range(0, count, MAX_SERVERS)]
    listed = [settings.model_copy(update={"servers": Settings(servers=part).servers}) for part in parts]
    return tuple(server for one in listed for server in resolve_servers(one))
