"""Nodes of a cluster over the fake store in virtual time, each with a fake fleet."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from typing_extensions import override

from statemachine.cluster.journal import CopyFile
from statemachine.cluster.membership import Identity
from statemachine.cluster.node import ClusterNode, NodePublication
from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import Message, verbatim
from statemachine.core.ports import SoleOwner
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalPort
from statemachine.journal.recorder import Recorder
from statemachine.publish.publisher import TransitionLog
from statemachine.publish.snapshot import Snapshot
from tests.cluster.fake_store import FakeEngine
from tests.journal.samples import FragileStore, at_once

LEASE_S = 10.0
TIMEOUT_S = 1.0
SETTLE_S = 3.0
"""Long enough for everything except the end of a lease."""

_IDS = count(1)


def new_id() -> str:
    """Return a unique id."""
    return f"id{next(_IDS)}"


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def settled() -> "asyncio.Future[None]":
    """Return once everything that does not wait for the end of a lease is done."""
    return asyncio.ensure_future(asyncio.sleep(SETTLE_S))


def engine() -> FakeEngine:
    return FakeEngine(latency=lambda: 0.001)


def make_view(name: str = "a", state: State = State.LOADED, since: float = 100.0, **others: object) -> ServerView:
    """Return the view of a server."""
    fields = {"url": f"http://{name}", "group": "g", "reason": Reason.ALL_CACHED, "message": verbatim("m"), **others}
    return ServerView(name=name, state=state, since=since, **fields)  # type: ignore[arg-type]


class FakeServerHost:
    """A fleet that records what it acquires and releases. It ignores servers that are not in `known`, if set."""

    def __init__(self) -> None:
        self.known: Collection[str] | None = None
        self.in_flight: set[str] = set()
        self.acquired: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        """Method and server, in order."""
        self.on_release: Callable[[str], None] = lambda _: None

    async def acquire(self, servers: Collection[str]) -> None:
        servers = [server for server in servers if self.known is None or server in self.known]
        assert not self.acquired & set(servers)
        self.acquired |= set(servers)
        await asyncio.sleep(0)
        self.calls += [("acquire", server) for server in servers]

    async def release(self, servers: Collection[str]) -> None:
        servers = [server for server in servers if server in self.acquired]
        self.acquired -= set(servers)
        await asyncio.sleep(0.01)
        for server in servers:
            self.on_release(server)
        self.calls += [("release", server) for server in servers]


class OwnsEverything(SoleOwner):
    """Own every server, also those that were never set."""

    @override
    def owns(self, server: str) -> bool:
        return True

    @override
    def may_submit(self, server: str) -> bool:
        return True


class Listener(TransitionLog):
    """Receive published entries."""

    def __init__(self) -> None:
        super().__init__()
        self.on_entry: Callable[[LogEntry], None] = lambda _: None

    @override
    def write(self, entry: LogEntry) -> None:
        self.on_entry(entry)


class NoticeCollector(Recorder):
    """Collect notices, so that the journal has only the entries of the test."""

    def __init__(self, journal: JournalPort, notices: list[Notice], on_health: Callable[[bool], None]) -> None:
        super().__init__(journal, loop_time)
        self._notices = notices
        self._on_health = on_health

    @override
    def notice(self, notice: Notice, detail: Message | str = "") -> None:
        self._notices.append(notice)

    @override
    def journal_health(self, healthy: bool) -> None:
        super().journal_health(healthy)
        self._on_health(healthy)


class Node:
    """One node, from `start` to `leave` or `die`. Its servers are `unknown` at first."""

    def __init__(
        self,
        engine: FakeEngine,
        name: str,
        folder: Path,
        servers: Sequence[str] = ("a", "b"),
        limits: tuple[int, int] = (4, 2),
        lease_s: float = LEASE_S,
    ) -> None:
        self.engine = engine
        self.name = name
        self.servers = tuple(servers)
        self.store = engine.store(name, TIMEOUT_S)
        self.file = FragileStore(folder / f"{name}.sqlite3")
        self.open_file: Callable[[], FragileStore] = lambda: self.file
        self.listener = Listener()
        self.snapshot = Snapshot()
        for server in servers:
            self.snapshot.put(make_view(server, State.UNKNOWN, 0.0))
        self.node = ClusterNode(
            self.store,
            Identity(name, lease_s, loop_time, new_id),
            CopyFile(self._open_file, at_once),
            NodePublication(self.snapshot, self.listener, loop_time),
            limits,
        )
        self.notices: list[Notice] = []
        self.on_health: Callable[[bool], None] = lambda _: None
        self.node.recorder = NoticeCollector(self.node.journal, self.notices, self._on_health)
        self.host = FakeServerHost()
        self._task: asyncio.Task[None] | None = None

    def _open_file(self) -> FragileStore:
        return self.open_file()

    def _on_health(self, healthy: bool) -> None:
        self.on_health(healthy)

    @property
    def copy(self) -> Journal[Any]:
        """The journal over the node's own file."""
        return self.node.journal._copy

    async def start(self) -> "Node":
        await self.node.journal.open()
        self._task = asyncio.get_running_loop().create_task(self.node.run())
        await self.node.ownership.set_servers(self.servers, self.host)
        return self

    async def die(self) -> None:
        """Stop at once, as by SIGKILL."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self.engine.stores.pop(self.name, None)

    async def leave(self) -> None:
        """Leave the cluster, as by SIGTERM."""
        await self.node.leave()
        await self.die()

    async def close(self) -> None:
        await self.die()
        self.file.broken = None
        await self.copy.close()


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    """Run the nodes, and yield once each owns its share."""
    try:
        for node in nodes:
            await node.start()
        await settled()
        yield
    finally:
        for node in nodes:
            await node.close()
