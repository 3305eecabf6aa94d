"""The gateway as a process of its own, killed at any instant."""

import asyncio
import json
import re
from asyncio.subprocess import Process
from collections import Counter
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from tests.gateway.rig import image_graph, running_servers
from tests.support.daemon import command
from tests.support.polling import PATIENCE_S, wait_for, wait_until
from tests.support.ports import free_port

ADDRESS = re.compile(r"the gateway is at (\S+)")
KILLS = 3


async def address_of(process: Process) -> str:
    """Read the process's log until it listens; return its address."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        async for line in process.stderr:
            if found := ADDRESS.search(line.decode()):
                return found[1]
    raise AssertionError("the gateway ended before it listened")


def settings_file(folder: Path, names: list[str]) -> Path:
    section = {"port": free_port(), "data_dir": str(folder / "gateway")}
    path = folder / "settings.json"
    servers = [f"http://{name}" for name in names]
    path.write_text(json.dumps({"servers": servers, "listen": {"port": 0}, "gateway": section}), encoding="utf-8")
    return path


async def post_until(address: str, killed: asyncio.Event, ids: list[str], accepted: list[str]) -> None:
    """Post prompts one after another until the gateway is killed."""
    async with aiohttp.ClientSession() as session:
        while not killed.is_set():
            ids.append(prompt_id := str(uuid4()))
            body = {"prompt": image_graph(prompt_id, 0.01), "prompt_id": prompt_id}
            try:
                async with session.post(f"{address}/prompt", json=body) as response:
                    if response.status == 200:
                        accepted.append(prompt_id)
            except aiohttp.ClientError:
                return


@pytest.mark.timeout(120)
async def test_killed_gateway_loses_and_repeats_no_prompt(tmp_path: Path) -> None:
    ids: list[str] = []
    accepted: list[str] = []
    async with running_servers(2) as (servers, names):
        path = settings_file(tmp_path, names)
        for kill in range(KILLS):
            async with command(path, "gateway") as process:
                address, killed = await address_of(process), asyncio.Event()
                clients = [asyncio.create_task(post_until(address, killed, ids, accepted)) for _ in range(8)]
                await wait_until(lambda wanted=20 * (kill + 1): len(accepted) >= wanted)  # type: ignore[misc]
                process.kill()
                killed.set()
                await asyncio.gather(*clients)
        async with command(path, "gateway") as process, aiohttp.ClientSession() as session:
            address = await address_of(process)
            for prompt_id in accepted:
                await wait_for(lambda one=prompt_id: entry_of(session, address, one))  # type: ignore[misc]
            process.terminate()
            assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    posts = Counter(one for server in servers for one in server.posted)
    assert set(accepted) <= set(posts) <= set(ids)
    assert set(posts.values()) == {1}


async def entry_of(session: aiohttp.ClientSession, address: str, prompt_id: str) -> object:
    async with session.get(f"{address}/history/{prompt_id}") as response:
        return await response.json()
