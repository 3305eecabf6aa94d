"""The contract of a bus: subscribers receive events of a single daemon, of their node and of another node."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from statemachine.core.log_entry import LogFilter
from statemachine.core.messages import verbatim
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import State
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalPort
from statemachine.publish.bus import Bus, Subscription
from statemachine.publish.publisher import Publisher, TransitionLog
from statemachine.publish.serialize import StreamMessage, Topic
from statemachine.publish.snapshot import Snapshot
from tests.cluster.nodes import Node, engine, make_view, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import FragileStore, at_once, entry


@dataclass
class Buses:
    """The writer's journal, bus and snapshot; the reader's bus and snapshot."""

    journal: JournalPort
    writer_bus: Bus
    writer_snapshot: Snapshot
    bus: Bus
    snapshot: Snapshot

    def append(self, state: State, since: float, server: str = "a") -> None:
        message = f"{state.value} since {since:g}"
        view = make_view(server, state, since, message=verbatim(message))
        self.journal.append(entry(message, server=server, dest=state), None, view)

    def publish_live(self, view: ServerView) -> None:
        """Publish changed live values."""
        self.writer_snapshot.put(view)
        self.writer_bus.publish_live(view.name, lambda: view)


async def receive(reader: Subscription) -> list[StreamMessage]:
    await settled()
    async with asyncio.timeout(1):
        return await reader.take()


@asynccontextmanager
async def one_daemon(folder: Path) -> AsyncIterator[Buses]:
    store, snapshot, bus = FragileStore(folder / "j.sqlite3"), Snapshot(), Bus()
    publisher = Publisher(snapshot, bus, TransitionLog())
    journal = Journal[ServerView](lambda: store, at_once, publisher.on_committed, lambda _: None)
    await journal.open()
    for server in ("a", "b"):
        snapshot.put(make_view(server, State.UNKNOWN, 0.0))
    yield Buses(journal, bus, snapshot, bus, snapshot)
    await journal.close()


@asynccontextmanager
async def read_at_the_writer(folder: Path) -> AsyncIterator[Buses]:
    writer = Node(engine(), "writer", folder)
    async with running(writer):
        bus = writer.node.bus
        yield Buses(writer.node.journal, bus, writer.snapshot, bus, writer.snapshot)


@asynccontextmanager
async def read_elsewhere(folder: Path) -> AsyncIterator[Buses]:
    """Read at a node that owns none of the servers."""
    shared = engine()
    writer, reader = Node(shared, "writer", folder), Node(shared, "reader", folder)
    reader.servers = ("c",)
    async with running(writer, reader):
        yield Buses(writer.node.journal, writer.node.bus, writer.snapshot, reader.node.bus, reader.snapshot)


@pytest.fixture(params=[one_daemon, read_at_the_writer, read_elsewhere])
def buses(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Buses]:
    make: Callable[[Path], AbstractAsyncContextManager[Buses]] = request.param
    return make(tmp_path)


@in_virtual_time
async def test_subscribe_receives_transitions_once_in_order(buses: Buses) -> None:
    reader = buses.bus.subscribe()
    for number, state in enumerate([State.CHECKING, State.COLD, State.LOADED], start=1):
        buses.append(state, 100.0 + number)
    received = [one for one in await receive(reader) if one.topic is Topic.TRANSITION]
    assert [(one.seq, one.server, one.state) for one in received] == [
        (1, "a", State.CHECKING),
        (2, "a", State.COLD),
        (3, "a", State.LOADED),
    ]


@in_virtual_time
async def test_listener_is_called_after_the_snapshot_changed(buses: Buses) -> None:
    seen: list[tuple[State | None, State]] = []

    def record_states(message: StreamMessage) -> None:
        view = buses.snapshot.get("a")
        assert view is not None
        seen.append((message.state, view.state))

    buses.bus.add_listener(record_states)
    buses.append(State.CHECKING, 101.0)
    await settled()
    buses.append(State.LOADED, 102.0)
    await settled()
    assert seen == [(State.CHECKING, State.CHECKING), (State.LOADED, State.LOADED)]


@in_virtual_time
async def test_publish_live_reaches_subscribers_and_snapshot(buses: Buses) -> None:
    buses.append(State.WARMING, 101.0)
    await settled()
    reader = buses.bus.subscribe()
    buses.publish_live(make_view("a", State.WARMING, 101.0, progress=0.5))
    received = await receive(reader)
    assert [one.server for one in received if one.topic is Topic.PROGRESS] == ["a"]
    view = buses.snapshot.get("a")
    assert view is not None
    assert view.progress == 0.5


@in_virtual_time
async def test_snapshot_keeps_the_newest_state(buses: Buses) -> None:
    """Live values may arrive before the entry that they follow."""
    buses.append(State.CHECKING, 101.0)
    buses.append(State.WARMING, 102.0)
    buses.publish_live(make_view("a", State.WARMING, 102.0, progress=0.25))
    await settled()
    view = buses.snapshot.get("a")
    assert view is not None
    assert view.state is State.WARMING


@in_virtual_time
async def test_snapshot_clock_set_back_shows_the_new_state(buses: Buses) -> None:
    buses.append(State.LOADED, 5000.0)
    await settled()
    buses.append(State.COLD, 1000.0)
    await settled()
    view = buses.snapshot.get("a")
    assert view is not None
    assert (view.state, view.since) == (State.COLD, 1000.0)


@in_virtual_time
async def test_subscribe_with_filter_receives_only_that_server(buses: Buses) -> None:
    reader = buses.bus.subscribe(LogFilter(servers=frozenset({"b"})))
    buses.append(State.COLD, 101.0, "a")
    buses.append(State.COLD, 101.0, "b")
    assert {one.server for one in await receive(reader)} == {"b"}


@in_virtual_time
async def test_unsubscribe_receives_nothing_more(buses: Buses) -> None:
    reader = buses.bus.subscribe()
    buses.bus.unsubscribe(reader)
    buses.append(State.COLD, 101.0)
    await settled()
    assert len(buses.bus) == 0
    with pytest.raises(TimeoutError):
        await receive(reader)
