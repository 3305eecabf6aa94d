"""Journals of a single daemon and of a node, which a test can break, repair and hand over to a successor."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import verbatim
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import State
from statemachine.i18n.render import sentence
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalPort
from statemachine.journal.store import JournalStore
from tests.cluster.nodes import LEASE_S, Listener, Node, engine, make_view, running, settled
from tests.journal.samples import DISK_FULL, FragileStore, at_once, entry, quiet_journal


@dataclass
class JournalHarness:
    """`fail` and `repair` break and repair the journal. `successor` returns the journal of the servers' next owner."""

    journal: JournalPort
    fail: Callable[[], None]
    repair: Callable[[], None]
    successor: Callable[["JournalHarness"], "asyncio.Future[JournalPort]"]
    health: list[bool]
    listener: Listener
    published: list[tuple[str, int | None]] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.listener.on_entry = self.record

    def append(self, *messages: str, server: str = "a") -> None:
        for message in messages:
            view = make_view(server, State.COLD, message=verbatim(message))
            self.journal.append(entry(message, server=server), None, view)

    def record(self, one: LogEntry) -> None:
        self.published.append((sentence(one.message), one.seq))

    async def stored(self) -> list[tuple[str, int | None]]:
        page = await self.journal.file.page_after(0, 99_999)
        return [(sentence(one.message), one.seq) for one in page.entries]

    async def break_and_wait(self) -> None:
        """Break the journal and let it notice by writing the entry `x`."""
        self.fail()
        self.append("x")
        await settled()
        assert not self.journal.healthy

    async def repair_and_wait(self) -> None:
        self.repair()
        await settled()
        await settled()
        assert self.journal.healthy


async def own_file(folder: Path) -> JournalHarness:
    store = FragileStore(folder / "j.sqlite3")
    listener, health = Listener(), list[bool]()
    journal = Journal[ServerView](lambda: store, at_once, lambda one, _: listener.write(one), health.append)
    await journal.open()

    async def successor(harness: JournalHarness) -> JournalPort:
        await journal.close()
        again = quiet_journal(lambda: JournalStore(folder / "j.sqlite3"))
        await again.open()
        harness.stack.push_async_callback(again.close)
        return again

    def break_it() -> None:
        store.broken = DISK_FULL

    def repair() -> None:
        store.broken = None

    harness = JournalHarness(
        journal, break_it, repair, lambda one: asyncio.ensure_future(successor(one)), health, listener
    )
    harness.stack.push_async_callback(lambda: asyncio.sleep(0) if store.closed else journal.close())
    return harness


async def cluster_setup(folder: Path) -> tuple[JournalHarness, Node]:
    shared = engine()
    node = Node(shared, "one", folder)

    async def successor(harness: JournalHarness) -> JournalPort:
        await node.die()
        other = Node(shared, "two", folder)
        await harness.stack.enter_async_context(running(other))
        await asyncio.sleep(2 * LEASE_S)
        assert other.host.acquired == {"a", "b"}
        return other.node.journal

    harness = JournalHarness(
        node.node.journal,
        lambda: shared.cut("one"),
        lambda: shared.heal("one"),
        lambda one: asyncio.ensure_future(successor(one)),
        health=[],
        listener=node.listener,
    )
    await harness.stack.enter_async_context(running(node))
    node.on_health = harness.health.append
    return harness, node


async def node_with_failing_store(folder: Path) -> JournalHarness:
    return (await cluster_setup(folder))[0]


async def node_with_failing_file(folder: Path) -> JournalHarness:
    harness, node = await cluster_setup(folder)

    def break_it() -> None:
        node.file.broken = DISK_FULL

    def repair() -> None:
        node.file.broken = None

    harness.fail, harness.repair = break_it, repair
    return harness


@asynccontextmanager
async def entered(make: Callable[[Path], Awaitable[JournalHarness]], folder: Path) -> AsyncIterator[JournalHarness]:
    harness = await make(folder)
    async with harness.stack:
        yield harness
