"""The cluster of a campaign: three nats-servers, the simulated servers and the daemons a, b and c."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp

from campaigns.cluster.fleet import SimulatedFleet, simulated
from campaigns.cluster.nodes import LEASE_S, MARGIN_S, Node
from campaigns.cluster.owners import Owners, watching
from campaigns.cluster.report import Report
from statemachine.cluster.membership import node_for
from tests.cluster.nats_rig import NatsRig, nats_rig

NAMES = "abc"
RATE = 8.0
"""Evictions per second, each of which causes a warm-up. About twenty warm-ups are in flight."""
SETTLE_S = 120.0
POLL_S = 0.2
NO_RESPONSE = (aiohttp.ClientError, TimeoutError)


@dataclass
class Cluster:
    """A cluster. `nodes` has every node that should run, by name, including killed ones."""

    folder: Path
    nats: NatsRig
    fleet: SimulatedFleet
    owners: Owners
    rng: Random
    report: Report
    nodes: dict[str, Node] = field(default_factory=dict)
    resumes: list[tuple[str, float]] = field(default_factory=list)
    """(node, time) of each SIGCONT."""
    garbage: set[int] = field(default_factory=set)
    """Numbers in the log that were used for garbage, and that no entry has."""

    def new_node(self, name: str) -> Node:
        """Create a node without starting it."""
        return Node(name, self.folder, self.fleet.urls, self.nats.urls)

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], within_s: float) -> float:
        """Wait until `holds` is true; return the seconds. Report a violation after `within_s`."""
        begun = time.monotonic()
        while not await _holds(holds):
            if time.monotonic() - begun > within_s:
                self.report.violation(f"not within {within_s:g} s: {what}", [await self.described()])
                break
            await asyncio.sleep(POLL_S)
        return time.monotonic() - begun

    async def settled(self) -> float:
        """Stop all evictions and wait until every node shows every server as loaded."""
        await self.fleet.churn(0)
        return await self.until("every node shows every server as loaded", self._all_loaded, SETTLE_S)

    async def distributed(self, within_s: float = SETTLE_S) -> float:
        """Wait until each server is owned by the node that the hash selects."""
        return await self.until("each server is owned by its node", self._is_distributed, within_s)

    async def takeover_times(
        self, node: str, servers: Collection[str], dead: Collection[str], since: float
    ) -> list[float]:
        """Return the seconds until another session owned each server of a dead node; check their limit."""
        bound = LEASE_S + MARGIN_S
        took = await self.owners.takeover_times(servers, dead, since, bound * 4)
        late = [f"{one:.2f} s" for one in took if one > bound]
        self.report.violation(f"servers of {node} acquired later than {bound:g} s", late)
        self.report.violation(f"servers of {node} not acquired", ["?"] * (len(servers) - len(took)))

        async def none_is_left() -> bool:
            return not any(self.owners.now(server).session in dead for server in self.fleet.urls)

        await self.until(f"no server is owned by the dead {node}", none_is_left, bound)
        return took

    async def described(self) -> str:
        """Return the owners and states at every node, for a violation."""
        parts = [f"owned: {dict(self.owners.counts())}"]
        for name, node in self.nodes.items():
            try:
                states = (await node.get("/api/status"))["states"]
            except NO_RESPONSE as error:
                states = {repr(error): True}
            parts.append(f"{name}: { {state: count for state, count in states.items() if count} }")
        return ", ".join(parts)

    async def _all_loaded(self) -> bool:
        counts = [(await node.get("/api/status"))["states"]["loaded"] for node in self.nodes.values()]
        return counts == [len(self.fleet.urls)] * len(counts) and not await self.fleet.cold()

    async def _is_distributed(self) -> bool:
        names = sorted(self.nodes)
        return all(self.owners.now(server).node == node_for(server, names) for server in self.fleet.urls)


async def _holds(holds: Callable[[], Awaitable[bool]]) -> bool:
    """Return False also if a node does not respond."""
    try:
        return await holds()
    except NO_RESPONSE:
        return False


@asynccontextmanager
async def clustered(folder: Path, servers: int, seed: int, report: Report) -> AsyncIterator[Cluster]:
    """Start a cluster, wait until it has settled, and end it afterwards."""
    async with (
        nats_rig(folder / "nats", servers=3) as nats,
        simulated(folder, servers, seed) as fleet,
        watching(nats.urls) as owners,
    ):
        cluster = Cluster(folder, nats, fleet, owners, Random(seed), report)
        cluster.nodes = {name: cluster.new_node(name) for name in NAMES}
        try:
            await _start(cluster)
            yield cluster
        finally:
            await asyncio.gather(*(node.end() for node in cluster.nodes.values()))


async def _start(cluster: Cluster) -> None:
    begun = time.monotonic()
    for node in cluster.nodes.values():
        await node.start()
    for node in cluster.nodes.values():
        await node.until_answering()
    responding = time.monotonic() - begun
    await cluster.distributed()
    shared = time.monotonic() - begun
    await cluster.settled()
    took = f"responding {responding:.1f} s, distributed {shared:.1f} s, all loaded {time.monotonic() - begun:.1f} s"
    cluster.report.figure(f"three daemons over {len(cluster.fleet.urls)} servers started: {took}")
