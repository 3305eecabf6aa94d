"""The gateway over three real servers and a real daemon: 50 clients at a time, each with its own frames and files."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from statemachine.client.access import daemon_api
from statemachine.gateway.process import RunningGateway, running_gateway
from statemachine.settings import parse_settings
from tests.comfyui.daemon import running_over
from tests.comfyui.pictures import Colour, colour_of, inverted, is_close, picture
from tests.comfyui.rig import Graph, RealServer, Rig, cache_workflow
from tests.support.polling import wait_until

CLIENTS = 50
TOKENS = {f"client{number}": f"token-{number}-of-a-client" for number in range(CLIENTS)}
PREVIEW_HEADER = 8
"""Bytes before the picture of a binary frame."""


def graph(image: str) -> Graph:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "same"}},
        "4": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["2", 0]}},
    }


@asynccontextmanager
async def gateway_over(folder: Path, servers: list[RealServer]) -> AsyncIterator[RunningGateway]:
    async with AsyncExitStack() as stack:
        workflows = {"cache": cache_workflow("a")}
        daemon = await stack.enter_async_context(running_over(folder, servers, workflows))
        for server in servers:
            await daemon.wait_state(server, "loaded")
        port = int(daemon.address.rpartition(":")[2])
        data = {
            "servers": [one.url for one in servers],
            "listen": {"port": port},
            "gateway": {"port": 0, "tokens": TOKENS},
        }
        settings = parse_settings(data, folder, {})
        assert settings.gateway is not None
        opened = running_gateway(settings, settings.gateway, lambda: daemon_api(settings))
        gateway = await stack.enter_async_context(opened)
        await wait_until(lambda: all(one.state == "loaded" for one in gateway.view), 60)
        yield gateway


@dataclass
class Client:
    """A client with its own token and picture. `previews` are the pictures of its binary frames."""

    session: aiohttp.ClientSession
    url: str
    colour: Colour
    image: dict[str, str] = field(default_factory=dict)
    prompts: set[str] = field(default_factory=set)
    previews: list[Colour] = field(default_factory=list)

    async def invert(self) -> Colour:
        """Have the picture inverted; return the colour of the result."""
        client_id = str(uuid4())
        form = aiohttp.FormData()
        form.add_field("image", picture(self.colour), filename="input.png", content_type="image/png")
        async with self.session.post(f"{self.url}/upload/image", data=form) as response:
            name = (await response.json())["name"]
        async with self.session.ws_connect(f"{self.url}/ws?clientId={client_id}") as ws:
            body = {"prompt": graph(name), "client_id": client_id}
            async with self.session.post(f"{self.url}/prompt", json=body) as response:
                answer = await response.json()
                assert response.status == 200, answer
            await self._until_end(ws, answer["prompt_id"])
        async with self.session.get(f"{self.url}/history/{answer['prompt_id']}") as response:
            [self.image] = (await response.json())[answer["prompt_id"]]["outputs"]["3"]["images"]
        status, content = await self.view(self.image)
        assert status == 200
        return colour_of(content)

    async def view(self, image: dict[str, str]) -> tuple[int, bytes]:
        """Return status and content of a picture."""
        async with self.session.get(f"{self.url}/view", params=image) as response:
            return response.status, await response.read()

    async def _until_end(self, ws: aiohttp.ClientWebSocketResponse, prompt_id: str) -> None:
        async for message in ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                self.previews.append(colour_of(message.data[PREVIEW_HEADER:]))
                continue
            frame = json.loads(message.data)
            self.prompts |= {frame["data"]["prompt_id"]} if "prompt_id" in frame["data"] else set()
            if frame["type"] == "executing" and frame["data"] == {"node": None, "prompt_id": prompt_id}:
                return
        raise AssertionError("the connection ended")


@asynccontextmanager
async def clients_of(url: str) -> AsyncIterator[list[Client]]:
    """Open a session with its own token for each client."""
    async with AsyncExitStack() as stack:
        clients = []
        for number, token in enumerate(TOKENS.values()):
            headers = {"Authorization": f"Bearer {token}"}
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
            clients.append(Client(session, url, (5 * number, 250 - 5 * number, 7)))
        yield clients


@pytest.mark.timeout(300)
async def test_fifty_clients_over_three_servers_get_their_own_images(rig: Rig, tmp_path: Path) -> None:
    for _ in range(3):
        rig.server()
    servers = await rig.start_all()
    async with gateway_over(tmp_path, servers) as gateway, clients_of(gateway.address) as clients:
        results = await asyncio.gather(*(one.invert() for one in clients))
        others = [await one.view(other.image) for one, other in pairwise(clients)]
        used = {record.server for name in TOKENS for record in gateway.ledger.of_client(name)}
    expected = [inverted(one.colour) for one in clients]
    assert all(map(is_close, results, expected))
    assert [[len(one.previews), *one.prompts] for one in clients] == [[1, one.image["subfolder"]] for one in clients]
    assert all(map(is_close, (one.previews[0] for one in clients), expected))
    assert {status for status, _ in others} == {404}
    assert len(used) == len(servers)
