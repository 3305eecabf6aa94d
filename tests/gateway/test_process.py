"""The gateway as a process of its own, killed at any instant."""

import asyncio
import json
import re
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
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


def settings_file(folder: Path, names: list[str], name: str) -> tuple[Path, str]:
    """Write the settings of a gateway; return their path and the gateway's address."""
    section = {"port": free_port(), "data_dir": str(folder / name), "max_prompts": 1000}
    path = folder / f"{name}.json"
    servers = [f"http://{server}" for server in names]
    path.write_text(json.dumps({"servers": servers, "listen": {"port": 0}, "gateway": section}), encoding="utf-8")
    return path, f"http://127.0.0.1:{section['port']}"


class Load:
    """Clients that post prompts to two gateways in turn. `accepted` are the gateways that accepted them, by id."""

    def __init__(self, addresses: list[str]) -> None:
        self.addresses = addresses
        self.tried: set[str] = set()
        self.accepted: dict[str, str] = {}
        self.is_over = False

    async def post(self) -> None:
        """Post prompts one after another until the load is over."""
        async with aiohttp.ClientSession() as session:
            while not self.is_over:
                prompt_id = str(uuid4())
                address = self.addresses[len(self.tried) % len(self.addresses)]
                self.tried.add(prompt_id)
                body = {"prompt": image_graph(prompt_id, 0.01), "prompt_id": prompt_id}
                with suppress(aiohttp.ClientError):
                    async with session.post(f"{address}/prompt", json=body) as response:
                        if response.status == 200:
                            self.accepted[prompt_id] = address
                await asyncio.sleep(0.01)

    async def more(self, count: int) -> None:
        """Wait until so many more prompts were accepted."""
        wanted = len(self.accepted) + count
        await wait_until(lambda: len(self.accepted) >= wanted)


@asynccontextmanager
async def gateway_process(path: Path) -> AsyncIterator[Process]:
    """Run a gateway as a process that listens, and read its log to the end."""
    async with command(path, "gateway") as process:
        await address_of(process)
        assert process.stderr is not None
        reading = asyncio.create_task(process.stderr.read())
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await reading


@pytest.mark.timeout(120)
async def test_killed_gateway_and_lost_answers_repeat_no_prompt(tmp_path: Path) -> None:
    async with running_servers(3) as (servers, names), AsyncExitStack() as stack:
        (killed, one), (other, two) = (settings_file(tmp_path, names, name) for name in ("one", "two"))
        await stack.enter_async_context(gateway_process(other))
        load = Load([one, two])
        clients = [asyncio.create_task(load.post()) for _ in range(6)]
        for kill in range(KILLS):
            async with gateway_process(killed) as process:
                await load.more(15)
                servers[kill].cut_after = True
                await load.more(15)
                process.kill()
        load.is_over = True
        await asyncio.gather(*clients)
        await stack.enter_async_context(gateway_process(killed))
        async with aiohttp.ClientSession() as session:
            for prompt_id, address in load.accepted.items():
                url = f"{address}/history/{prompt_id}"
                await wait_for(lambda url=url: read(session, url), timeout_s=60)  # type: ignore[misc]
        posts = Counter(one for server in servers for one in server.posted)
    assert set(posts) <= load.tried
    assert set(posts.values()) == {1}


async def test_gateway_process_ends_on_sigterm(tmp_path: Path) -> None:
    path, _ = settings_file(tmp_path, ["127.0.0.1:9"], "one")
    async with gateway_process(path) as process:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


async def read(session: aiohttp.ClientSession, url: str) -> object:
    async with session.get(url) as response:
        return await response.json()
