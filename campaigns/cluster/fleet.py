"""The campaign's client of the simulated servers' process."""

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
from tests.support.paths import REPOSITORY
from tests.support.ports import free_port

MODULE = "campaigns.cluster.servers"


@dataclass(frozen=True)
class FleetLedger:
    """The records of all servers."""

    posts: list[Post]
    duplicates: list[str]
    unnecessary: list[str]
    accepted_after_death: int


class SimulatedFleet:
    """A client of the process; `urls` maps each server's name to its URL."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self.urls: dict[str, str] = {}
        self._session = session
        self._address = address

    async def until_answering(self) -> None:
        give_up = time.monotonic() + START_S
        while not self.urls:
            assert time.monotonic() < give_up, "the simulated servers do not respond"
            try:
                self.urls = await self._get("servers")
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(POLL_S)

    async def ledger(self) -> FleetLedger:
        data = await self._get("ledger")
        data["posts"] = [Post(**post) for post in data["posts"]]
        return FleetLedger(**data)

    async def in_flight(self) -> dict[str, list[str]]:
        """Return the queued or running warm-ups of each server that has any."""
        return {name: ours for name, (_, ours) in (await self._get("now")).items() if ours}

    async def cold(self) -> list[str]:
        """Return the servers with missing models."""
        return [name for name, (warm, _) in (await self._get("now")).items() if not warm]

    async def churn(self, rate: float, spared: Collection[str] = ()) -> None:
        """Set the evictions per second, except of the spared servers."""
        await self._post("churn", {"rate": rate, "spared": list(spared)})

    async def died(self, node: str) -> None:
        """Record the death of a node, so that its held POSTs count as accepted after death."""
        await self._post(f"died/{node}", {})

    async def _get(self, path: str) -> Any:
        async with self._session.get(f"{self._address}/{path}") as response:
            return await response.json()

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        async with self._session.post(f"{self._address}/{path}", json=body) as response:
            response.raise_for_status()


@asynccontextmanager
async def simulated(folder: Path, count: int, seed: int) -> AsyncIterator[SimulatedFleet]:
    """Start the process and end it afterwards. Its log is `folder/simulated.log`."""
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
