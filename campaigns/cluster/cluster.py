"""What a campaign plays with: three nats-servers, the simulated servers, and daemons a, b and c over them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import aiohttp

from campaigns.cluster.nodes import LEASE_S, MARGIN_S, Node
from campaigns.cluster.owners import Owners, watching
from campaigns.cluster.report import Report
from campaigns.cluster.simulated import SimulatedFleet, simulated
from statemachine.cluster.rendezvous import chosen
from tests.cluster.nats_rig import NatsRig, nats_rig

NAMES = "abc"
RATE = 8.0
"""Evictions a second: so many warm-ups begin, and some twenty are under way at any time."""
SETTLE_S = 120.0
POLL_S = 0.2
NO_ANSWER = (aiohttp.ClientError, TimeoutError)


@dataclass
class Cluster:
    """`nodes` are those that are to run, by name; a dead one stays among them until it is started again."""

    folder: Path
    nats: NatsRig
    fleet: SimulatedFleet
    owners: Owners
    rng: Random
    report: Report
    nodes: dict[str, Node] = field(default_factory=dict)
    thaws: list[tuple[str, float]] = field(default_factory=list)
    """Each node that was woken by SIGCONT, and when (`time.monotonic`)."""

    def new_node(self, name: str) -> Node:
        """Not started."""
        return Node(name, self.folder, self.fleet.urls, self.nats.urls)

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], within_s: float) -> float:
        """How long it took; a violation where it took longer."""
        begun = time.monotonic()
        while not await _answered(holds):
            if time.monotonic() - begun > within_s:
                self.report.wrong(f"within {within_s:g} s it did not happen that {what}", [await self.described()])
                break
            await asyncio.sleep(POLL_S)
        return time.monotonic() - begun

    async def settled(self) -> float:
        """Stop all evictions, and wait until every node says that every server is loaded."""
        await self.fleet.churn(0)
        return await self.until("all is loaded, as every node says", self._all_loaded, SETTLE_S)

    async def shared_out(self, within_s: float = SETTLE_S) -> float:
        """Wait until each server is with the node to which it falls."""
        return await self.until("each server is where it belongs", self._is_shared_out, within_s)

    async def taken_over(self, node: str, servers: Collection[str], dead: Collection[str], since: float) -> list[float]:
        """How long it took until each of a silent node's servers was another session's; the longest is bounded."""
        bound = LEASE_S + MARGIN_S
        took = await self.owners.taken(servers, dead, since, bound * 4)
        late = [f"{one:.2f} s" for one in took if one > bound]
        self.report.wrong(f"servers of {node} taken over later than {bound:g} s", late)
        self.report.wrong(f"servers of {node} not taken over", ["?"] * (len(servers) - len(took)))
        left = [server for server in self.fleet.urls if self.owners.now(server).session in dead]
        self.report.wrong(f"servers that are still {node}'s, which is silent", left)
        return took

    async def described(self) -> str:
        """How things stand, for whoever reads why something did not happen."""
        said = [f"owned: {dict(self.owners.counts())}"]
        for name, node in self.nodes.items():
            try:
                states = (await node.get("/api/status"))["states"]
            except NO_ANSWER as error:
                states = {repr(error): True}
            said.append(f"{name}: { {state: count for state, count in states.items() if count} }")
        return ", ".join(said)

    async def _all_loaded(self) -> bool:
        said = [(await node.get("/api/status"))["states"]["loaded"] for node in self.nodes.values()]
        return said == [len(self.fleet.urls)] * len(said) and not await self.fleet.cold()

    async def _is_shared_out(self) -> bool:
        names = sorted(self.nodes)
        return all(self.owners.now(server).node == chosen(server, names) for server in self.fleet.urls)


async def _answered(holds: Callable[[], Awaitable[bool]]) -> bool:
    """False too where a node does not answer."""
    try:
        return await holds()
    except NO_ANSWER:
        return False


@asynccontextmanager
async def clustered(folder: Path, servers: int, seed: int, report: Report) -> AsyncIterator[Cluster]:
    """All of it started and settled, models being evicted; ended at the end, frozen or not."""
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
    answering = time.monotonic() - begun
    await cluster.shared_out()
    shared = time.monotonic() - begun
    await cluster.settled()
    took = f"answering {answering:.1f} s, shared out {shared:.1f} s, all loaded {time.monotonic() - begun:.1f} s"
    cluster.report.figure(f"three daemons over {len(cluster.fleet.urls)} servers started: {took}")
