"""The stages of a cluster's life over one large fleet, and what each of them costs."""

import asyncio
import gzip
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from campaigns.scale.nodes import CountedEngine, ScaleNode
from campaigns.scale.servers import settings_of
from statemachine.cluster.membership import node_for
from statemachine.publish import serialize
from statemachine.publish.snapshot import Snapshot

CHECK_INTERVAL_S = 60
QUIET_S = 60.0
"""One interval, so that every server is checked once."""

LONGEST_S = 3600.0
"""Virtual time after which a stage has failed."""

POLL_S = 0.25
MB = 2**20


@dataclass(frozen=True)
class Stage:
    """One stage: virtual and processor time, writes to the store, messages between the nodes, longest stall."""

    name: str
    virtual_s: float
    processor_s: float
    writes: int
    messages: int
    longest_step_s: float


@dataclass(frozen=True)
class Page:
    """What `/api/status` of one node costs: the first answer, the next one after one change, and its size."""

    first_s: float
    next_s: float
    bytes: int
    compressed_bytes: int


@dataclass(frozen=True)
class ScaleReport:
    """What a run has shown. `memory_mb` is the process's above that before the nodes, `stored_mb` the store's part."""

    servers: int
    nodes: int
    stages: Sequence[Stage]
    memory_mb: float
    stored_mb: float
    page: Page

    @property
    def node_mb(self) -> float:
        """The memory of one node."""
        return (self.memory_mb - self.stored_mb) / self.nodes


class Cluster:
    """Nodes that start together, rest, and lose one of them."""

    def __init__(self, servers: int, nodes: int, folder: Path) -> None:
        self.servers = servers
        self.engine = CountedEngine()
        self.before_mb = memory_mb()
        self.stages: list[Stage] = []
        self._settings, self._folder, self._count = settings_of(CHECK_INTERVAL_S), folder, nodes
        self._made = 0
        self._counted: dict[tuple[str, ...], Counter[str | None]] = {}
        self.nodes = [self._new_node() for _ in range(nodes)]

    async def run(self) -> ScaleReport:
        """Go through all stages."""
        await asyncio.gather(*(node.join() for node in self.nodes))
        await asyncio.sleep(1.0)
        await self._stage("start", self._start(self.nodes), self._is_loaded)
        await self._stage("rest", asyncio.sleep(QUIET_S), self._is_loaded)
        memory, stored = memory_mb() - self.before_mb, self.engine.stored_bytes / MB
        page = page_of(self.nodes[0].snapshot)
        await self._stage("loss of a node", self.nodes.pop().die(), self._is_loaded)
        await self._stage("a node joins", self._add_node(), self._is_loaded)
        for node in self.nodes:
            await node.die()
        return ScaleReport(self.servers, self._count, self.stages, memory, stored, page)

    def _new_node(self) -> ScaleNode:
        self._made += 1
        return ScaleNode(self.engine, f"node-{self._made}", self._folder, self._settings, self.servers)

    async def _start(self, nodes: Sequence[ScaleNode]) -> None:
        await asyncio.gather(*(node.start() for node in nodes))

    async def _add_node(self) -> None:
        node = self._new_node()
        self.nodes.append(node)
        await node.join()
        await self._start([node])

    def _is_loaded(self) -> bool:
        """Return whether every node has its share, and shows every server as loaded."""
        shares = self._shares(tuple(node.name for node in self.nodes))
        is_shared = all(node.owned == shares[node.name] for node in self.nodes)
        return is_shared and all(node.loaded == self.servers for node in self.nodes)

    def _shares(self, nodes: tuple[str, ...]) -> Counter[str | None]:
        """Return how many servers belong to each of these nodes."""
        if nodes not in self._counted:
            self._counted = {nodes: Counter(node_for(view.name, nodes) for view in self.nodes[0].snapshot)}
        return self._counted[nodes]

    async def _stage(self, name: str, work: Awaitable[None], is_over: Callable[[], bool]) -> None:
        loop, watch = asyncio.get_running_loop(), _LongestStep()
        began, used, writes, messages = loop.time(), time.process_time(), self.engine.writes, self.engine.messages
        await work
        while not is_over():
            await asyncio.sleep(POLL_S)
            if loop.time() - began > LONGEST_S:
                raise TimeoutError(f"{name}: not over after {LONGEST_S:.0f} s of virtual time")
        costs = time.process_time() - used, self.engine.writes - writes, self.engine.messages - messages
        self.stages.append(Stage(name, loop.time() - began, *costs, watch.stop()))


def page_of(snapshot: Snapshot) -> Page:
    """Measure the status of the whole fleet."""
    began = time.process_time()
    lines = [orjson.Fragment(serialize.server_line(view)) for view in snapshot]
    serialize.status(snapshot, 0.0, lines)
    first = time.process_time()
    body = serialize.status(snapshot, 0.0, [*lines[:-1], orjson.Fragment(serialize.server_line(list(snapshot)[-1]))])
    return Page(first - began, time.process_time() - first, len(body), len(gzip.compress(body, 1)))


def memory_mb() -> float:
    """Return the anonymous memory of this process."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


class _LongestStep:
    """The longest processor time of one round of the event loop, while nothing else could run."""

    def __init__(self) -> None:
        self._longest_s = 0.0
        self._last = time.process_time()
        self._handle = asyncio.get_running_loop().call_soon(self._tick)

    def _tick(self) -> None:
        now = time.process_time()
        self._longest_s, self._last = max(self._longest_s, now - self._last), now
        self._handle = asyncio.get_running_loop().call_later(0.001, self._tick)

    def stop(self) -> float:
        """Return the longest round."""
        self._tick()
        self._handle.cancel()
        return self._longest_s
