"""A gateway over simulated servers, and clients of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

from statemachine.gateway.process import RunningGateway, running_gateway
from statemachine.gateway.tracking import TrackingTimes
from statemachine.i18n.render import MessageError
from statemachine.settings import Settings, parse_settings
from statemachine.simulator.sockets import Gateway as Listeners
from tests.gateway.servers import FilesServer
from tests.support.polling import PATIENCE_S, wait_for

Json = dict[str, Any]
OK = 200
SOON = TrackingTimes(
    tick_s=0.02, calm_s=0.3, anxious_s=0.05, lead_s=0.1, gone_s=0.3, restore_s=0.6, in_doubt_s=5.0, follow_s=0.05
)
"""Shorter waits than a real fleet needs."""


class FakeDaemon:
    """The API of a daemon that publishes these states. It is away if `states` is None."""

    def __init__(self, states: dict[str, str] | None) -> None:
        self.states = states
        self.more: dict[str, Json] = {}
        """More fields of each server."""
        self.changed = asyncio.Event()
        self.reports: list[Json] = []

    async def __aenter__(self) -> "FakeDaemon":
        return self

    async def __aexit__(self, *_exc: object) -> None:
        return

    async def get(self, path: str) -> Json:
        assert path == "/api/status"
        return {"servers": [self._server(name) for name in self.states or {}]}

    async def send(self, path: str, body: Json) -> Json:
        assert path == "/api/decisions"
        if self.states is None:
            raise MessageError("no daemon")
        self.reports.append(body)
        return {"next": body["first"] + len(body["decisions"])}

    async def blocks(self, since: int | None) -> AsyncIterator["Block"]:
        assert since
        if self.states is None:
            raise MessageError("no daemon")
        yield Block("")
        while True:
            await self.changed.wait()
            self.changed.clear()
            if self.states is None:
                raise MessageError("the daemon is gone")
            for name in self.states:
                yield Block(json.dumps({"id": 1, "view": self._server(name)}))

    def publish(self, name: str, state: str, **more: object) -> None:
        """Publish a new state of a server, with other fields."""
        assert self.states is not None
        self.states[name], self.more[name] = state, dict(more)
        self.changed.set()

    def _server(self, name: str) -> Json:
        return {"name": name, "state": (self.states or {})[name], "queue_remaining": None, **self.more.get(name, {})}


@dataclass(frozen=True)
class Block:
    """An event of the stream."""

    data: str


@dataclass
class Site:
    """A running gateway, its servers, and a session of one client."""

    servers: Sequence[FilesServer]
    names: Sequence[str]
    gateway: RunningGateway
    daemon: FakeDaemon
    session: aiohttp.ClientSession
    settings: Settings

    @property
    def url(self) -> str:
        return self.gateway.address

    async def post(self, graph: Json, **more: Any) -> Json:
        """Post a prompt and return the answer, which must be a 200."""
        status, answer = await self.try_post(graph, **more)
        assert status == OK, answer
        return answer

    async def try_post(self, graph: Json, headers: dict[str, str] | None = None, **more: Any) -> tuple[int, Json]:
        """Post a prompt and return status and answer."""
        body = {"prompt": graph, **more}
        async with self.session.post(f"{self.url}/prompt", json=body, headers=headers) as response:
            return response.status, await response.json()

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        """Return the JSON of a GET."""
        async with self.session.get(self.url + path, headers=headers) as response:
            return await response.json()

    async def connected(self) -> bool:
        """Return whether the gateway has a connection to every server, and the daemon's status."""
        views = list(self.gateway.view)
        known = self.daemon.states is None or all(one.state == self.daemon.states[one.name] for one in views)
        return known and all(server.sockets for server in self.servers if server.up)

    async def wait_entry(self, prompt_id: str, headers: dict[str, str] | None = None) -> Json:
        """Wait for the history entry of a prompt and return it."""
        found = await wait_for(lambda: self.get(f"/history/{prompt_id}", headers))
        entry: Json = found[prompt_id]
        return entry


def image_graph(name: str = "model", seconds: float = 0.0) -> Json:
    """Return a graph that saves one image; every graph of another name runs all its nodes."""
    return {
        "1": {"class_type": "RigSlowModel", "inputs": {"name": name, "seconds": seconds}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "ComfyUI"}},
    }


@asynccontextmanager
async def running_servers(count: int, profile: str = "loaded") -> AsyncIterator[tuple[list[FilesServer], list[str]]]:
    """Run servers; yield them and their names, which are their addresses."""
    async with Listeners() as listeners:
        servers = [FilesServer(seed, profile) for seed in range(count)]
        names = ["{}:{}".format(*listeners.add(server, "127.0.0.1", 0)) for server in servers]
        for server in servers:
            await server.start()
        yield servers, names


@asynccontextmanager
async def running_site(folder: Path, count: int = 2, **gateway: Any) -> AsyncIterator[Site]:
    """Run servers and a gateway over them, which is connected to all of them."""
    async with AsyncExitStack() as stack:
        servers, names = await stack.enter_async_context(running_servers(count))
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        yield await start_site(stack, folder, servers, names, daemon, **gateway)


async def start_site(
    stack: AsyncExitStack,
    folder: Path,
    servers: Sequence[FilesServer],
    names: Sequence[str],
    daemon: FakeDaemon,
    **gateway: Any,
) -> Site:
    """Run a gateway over running servers."""
    listen = gateway.pop("listen", {})
    section = {"port": 0, "data_dir": str(folder / "gateway"), **gateway}
    data = {
        "listen": listen,
        "servers": [f"http://{name}" for name in names],
        "gateway": section,
        "logging": {"file": None},
    }
    settings = parse_settings(data, folder, {})
    assert settings.gateway is not None
    running = await stack.enter_async_context(running_gateway(settings, settings.gateway, lambda: daemon, SOON))
    session = await stack.enter_async_context(aiohttp.ClientSession())
    site = Site(servers, names, running, daemon, session, settings)
    await wait_for(site.connected)
    return site


class Listener:
    """A client's /ws connection; `frames` are the texts so far, decoded."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, client_id: str) -> None:
        self.ws = ws
        self.client_id = client_id
        self.frames: list[Json] = []
        self.binary: list[bytes] = []

    async def until(self, kind: str, prompt_id: str) -> list[str]:
        """Read until this kind of frame of the prompt; return the kinds so far."""
        async with asyncio.timeout(PATIENCE_S):
            while not any(one["type"] == kind and _is_end(one, kind, prompt_id) for one in self.frames):
                message = await self.ws.receive()
                if message.type is aiohttp.WSMsgType.TEXT:
                    self.frames.append(json.loads(message.data))
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self.binary.append(message.data)
                else:
                    raise AssertionError(f"the connection ended: {message}")
        return [one["type"] for one in self.frames]

    async def until_end(self, prompt_id: str) -> list[str]:
        """Read until the prompt has ended; return the kinds of frames so far."""
        return await self.until("executing", prompt_id)

    @property
    def prompts(self) -> set[str]:
        """The prompts that the frames are about."""
        return {one["data"]["prompt_id"] for one in self.frames if "prompt_id" in one["data"]}


def _is_end(frame: Json, kind: str, prompt_id: str) -> bool:
    data = frame["data"]
    return data.get("prompt_id") == prompt_id and (kind != "executing" or data.get("node") is None)


@asynccontextmanager
async def listening(site: Site, client_id: str | None = None, **options: Any) -> AsyncIterator[Listener]:
    """Open /ws of the gateway."""
    client_id = client_id or str(uuid4())
    async with site.session.ws_connect(f"{site.url}/ws?clientId={client_id}", **options) as ws:
        yield Listener(ws, client_id)
