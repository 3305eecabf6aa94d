"""The gateway over three real servers and a real daemon: 50 clients at a time, each with its own frames and files."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from statemachine.cli.api_client import daemon_api
from statemachine.gateway.process import RunningGateway, running_gateway
from statemachine.settings import parse_settings
from tests.comfyui.daemon import running_over
from tests.comfyui.pictures import png, shade
from tests.comfyui.rig import Graph, RealServer, Rig, cache_workflow
from tests.support.polling import wait_until

CLIENTS = 50


def graph(image: str) -> Graph:
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": image}},
        "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "same"}},
    }


@asynccontextmanager
async def gateway_over(folder: Path, servers: list[RealServer]) -> AsyncIterator[RunningGateway]:
    async with AsyncExitStack() as stack:
        workflows = {"cache": cache_workflow("a")}
        daemon = await stack.enter_async_context(running_over(folder, servers, workflows))
        for server in servers:
            await daemon.wait_state(server, "loaded")
        port = int(daemon.address.rpartition(":")[2])
        data = {"servers": [one.url for one in servers], "listen": {"port": port}, "gateway": {"port": 0}}
        settings = parse_settings(data, folder, {})
        assert settings.gateway is not None
        opened = running_gateway(settings, settings.gateway, lambda: daemon_api(settings))
        gateway = await stack.enter_async_context(opened)
        await wait_until(lambda: all(one.state == "loaded" for one in gateway.view), 60)
        yield gateway


async def image_to_image(session: aiohttp.ClientSession, url: str, red: int) -> tuple[int, set[str]]:
    """Invert a picture as a client; return the result's shade and the prompts of the frames."""
    client_id = str(uuid4())
    form = aiohttp.FormData()
    form.add_field("image", png(red), filename="input.png", content_type="image/png")
    async with session.post(f"{url}/upload/image", data=form) as response:
        name = (await response.json())["name"]
    async with session.ws_connect(f"{url}/ws?clientId={client_id}") as ws:
        body = {"prompt": graph(name), "client_id": client_id}
        async with session.post(f"{url}/prompt", json=body) as response:
            answer = await response.json()
            assert response.status == 200, answer
        frames = await until_end(ws, answer["prompt_id"])
    async with session.get(f"{url}/history/{answer['prompt_id']}") as response:
        [image] = (await response.json())[answer["prompt_id"]]["outputs"]["3"]["images"]
    async with session.get(f"{url}/view", params=image) as response:
        return shade(await response.read()), {one["prompt_id"] for one in frames if "prompt_id" in one}


async def until_end(ws: aiohttp.ClientWebSocketResponse, prompt_id: str) -> list[dict[str, Any]]:
    frames = []
    async for message in ws:
        if message.type is aiohttp.WSMsgType.TEXT:
            frame = json.loads(message.data)
            frames.append(frame["data"])
            if frame["type"] == "executing" and frame["data"] == {"node": None, "prompt_id": prompt_id}:
                return frames
    raise AssertionError("the connection ended")


@pytest.mark.timeout(300)
async def test_fifty_clients_over_three_servers_get_their_own_images(rig: Rig, tmp_path: Path) -> None:
    for _ in range(3):
        rig.server()
    servers = await rig.start_all()
    async with gateway_over(tmp_path, servers) as gateway, aiohttp.ClientSession() as session:
        clients = [image_to_image(session, gateway.address, red) for red in range(CLIENTS)]
        results = await asyncio.gather(*clients)
        used = {record.server for record in gateway.ledger.of_client("")}
    assert [found for found, _ in results] == [255 - red for red in range(CLIENTS)]
    assert [len(prompts) for _, prompts in results] == [1] * CLIENTS
    assert len(used) == len(servers)
