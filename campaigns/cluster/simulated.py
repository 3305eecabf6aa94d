"""The process of the simulated servers, as the campaign sees it."""

import asyncio
import sys
import time
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from campaigns.cluster.ledger import Post
from campaigns.kill.process import END_S, POLL_S, START_S
from tests.comfyui.rig import free_port
from tests.support.paths import REPOSITORY

MODULE = "campaigns.cluster.servers"


@dataclass(frozen=True)
class Noted:
    """What the servers' books say."""

    posts: list[Post]
    duplicates: list[str]
    needless: list[str]
    taken_from_the_dead: int


class SimulatedFleet:
    """`urls` is name → URL. Made by `simulated`."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.urls: dict[str, str] = {}
        self._session = session
        self._address = address

    async def until_answering(self) -> None:
        give_up = time.monotonic() + START_S
        while not self.urls:
            assert time.monotonic() < give_up, "the simulated servers do not answer"
            try:
                self.urls = await self._get("servers")
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(POLL_S)

    async def ledger(self) -> Noted:
        said = await self._get("ledger")
        said["posts"] = [Post(**post) for post in said["posts"]]
        return Noted(**said)

    async def in_flight(self) -> dict[str, list[str]]:
        """Server → prompts of ours that are queued or running, where there are some."""
        return {name: ours for name, (_, ours) in (await self._get("now")).items() if ours}

    async def cold(self) -> list[str]:
        """Servers at which something is missing."""
        return [name for name, (warm, _) in (await self._get("now")).items() if not warm]

    async def churn(self, rate: float, spared: Collection[str] = ()) -> None:
        """Evict so many servers a second, sparing some."""
        await self._post("churn", {"rate": rate, "spared": list(spared)})

    async def died(self, node: str) -> None:
        """Say that the node is dead: POSTs of it that lie there are taken from a dead one."""
        await self._post(f"died/{node}", {})

    async def _get(self, path: str) -> Any:
        async with self._session.get(f"{self._address}/{path}") as answer:
            return await answer.json()

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        async with self._session.post(f"{self._address}/{path}", json=body) as answer:
            answer.raise_for_status()


@asynccontextmanager
async def simulated(folder: Path, count: int, seed: int) -> AsyncIterator[SimulatedFleet]:
    """Started, and ended at the end. Its log is `folder/simulated.log`."""
    port = free_port()
    with (folder / "simulated.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", MODULE, str(count), str(seed), str(port)),
            cwd=REPOSITORY,
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        async with aiohttp.ClientSession() as session:
            fleet = SimulatedFleet(session, f"http://127.0.0.1:{port}")
            await fleet.until_answering()
            yield fleet
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.wait(), END_S)
