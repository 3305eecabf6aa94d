"""Who is told: a reader of a daemon's bus hears what happens, whether it happens there or on another node."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from statemachine.core.log_entry import LogFilter
from statemachine.core.messages import verbatim
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import State
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalPort
from statemachine.publish.bus import Bus, Subscription
from statemachine.publish.message import StreamMessage, Topic
from statemachine.publish.publisher import Publisher
from statemachine.publish.snapshot import Snapshot
from statemachine.publish.transition_log import TransitionLog
from tests.cluster.nodes import Node, engine, line, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import FragileStore, at_once, entry


@dataclass
class Stage:
    """What happens does so through `journal` and `written`; it is read at `bus` and seen in `snapshot`."""

    journal: JournalPort
    written: Bus
    writers: Snapshot
    bus: Bus
    snapshot: Snapshot

    def happen(self, state: State, since: float, server: str = "a") -> None:
        message = f"{state.value} since {since:g}"
        view = line(server, state, since, message=verbatim(message))
        self.journal.append(entry(message, server=server, dest=state), None, view)

    def go_on(self, view: ServerView) -> None:
        """A frame has changed live figures."""
        self.writers.put(view)
        self.written.publish_live(view.name, lambda: view)


async def heard(reader: Subscription) -> list[StreamMessage]:
    await settled()
    async with asyncio.timeout(1):
        return await reader.take()


@asynccontextmanager
async def one_daemon(folder: Path) -> AsyncIterator[Stage]:
    store, snapshot, bus = FragileStore(folder / "j.sqlite3"), Snapshot(), Bus()
    publisher = Publisher(snapshot, bus, TransitionLog())
    journal = Journal[ServerView](lambda: store, at_once, publisher.on_committed, lambda _: None)
    await journal.open()
    for server in ("a", "b"):
        snapshot.put(line(server, State.UNKNOWN, 0.0))
    yield Stage(journal, bus, snapshot, bus, snapshot)
    await journal.close()


@asynccontextmanager
async def read_at_the_writer(folder: Path) -> AsyncIterator[Stage]:
    writer = Node(engine(), "writer", folder)
    async with running(writer):
        bus = writer.node.bus
        yield Stage(writer.node.journal, bus, writer.snapshot, bus, writer.snapshot)


@asynccontextmanager
async def read_elsewhere(folder: Path) -> AsyncIterator[Stage]:
    """The reader's node has only a server of its own."""
    shared = engine()
    writer, reader = Node(shared, "writer", folder), Node(shared, "reader", folder)
    reader.servers = ("c",)
    async with running(writer, reader):
        yield Stage(writer.node.journal, writer.node.bus, writer.snapshot, reader.node.bus, reader.snapshot)


@pytest.fixture(params=[one_daemon, read_at_the_writer, read_elsewhere])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Stage]:
    make: Callable[[Path], AbstractAsyncContextManager[Stage]] = request.param
    return make(tmp_path)


@in_virtual_time
async def test_what_happened_is_told_in_order_and_once(stage: Stage) -> None:
    reader = stage.bus.subscribe()
    for number, state in enumerate([State.CHECKING, State.COLD, State.LOADED], start=1):
        stage.happen(state, 100.0 + number)
    told = [one for one in await heard(reader) if one.topic is Topic.TRANSITION]
    assert [(one.seq, one.server, one.state) for one in told] == [
        (1, "a", State.CHECKING),
        (2, "a", State.COLD),
        (3, "a", State.LOADED),
    ]


@in_virtual_time
async def test_whoever_is_told_sees_it_already(stage: Stage) -> None:
    seen: list[tuple[State | None, State]] = []

    def look(message: StreamMessage) -> None:
        view = stage.snapshot.get("a")
        assert view is not None
        seen.append((message.state, view.state))

    stage.bus.add_listener(look)
    stage.happen(State.CHECKING, 101.0)
    await settled()
    stage.happen(State.LOADED, 102.0)
    await settled()
    assert seen == [(State.CHECKING, State.CHECKING), (State.LOADED, State.LOADED)]


@in_virtual_time
async def test_live_figures_are_told_and_seen(stage: Stage) -> None:
    stage.happen(State.WARMING, 101.0)
    await settled()
    reader = stage.bus.subscribe()
    stage.go_on(line("a", State.WARMING, 101.0, progress=0.5))
    told = await heard(reader)
    assert [one.server for one in told if one.topic is Topic.PROGRESS] == ["a"]
    view = stage.snapshot.get("a")
    assert view is not None
    assert view.progress == 0.5


@in_virtual_time
async def test_what_is_known_stays_the_newest(stage: Stage) -> None:
    """Live figures may come before the entry that they follow."""
    stage.happen(State.CHECKING, 101.0)
    stage.happen(State.WARMING, 102.0)
    stage.go_on(line("a", State.WARMING, 102.0, progress=0.25))
    await settled()
    view = stage.snapshot.get("a")
    assert view is not None
    assert view.state is State.WARMING


@in_virtual_time
async def test_a_clock_that_is_set_back_hides_nothing(stage: Stage) -> None:
    stage.happen(State.LOADED, 5000.0)
    await settled()
    stage.happen(State.COLD, 1000.0)
    await settled()
    view = stage.snapshot.get("a")
    assert view is not None
    assert (view.state, view.since) == (State.COLD, 1000.0)


@in_virtual_time
async def test_a_reader_of_one_server_hears_of_that_one(stage: Stage) -> None:
    reader = stage.bus.subscribe(LogFilter(servers=frozenset({"b"})))
    stage.happen(State.COLD, 101.0, "a")
    stage.happen(State.COLD, 101.0, "b")
    assert {one.server for one in await heard(reader)} == {"b"}


@in_virtual_time
async def test_who_has_gone_hears_nothing_more(stage: Stage) -> None:
    reader = stage.bus.subscribe()
    stage.bus.unsubscribe(reader)
    stage.happen(State.COLD, 101.0)
    await settled()
    assert len(stage.bus) == 0
    with pytest.raises(TimeoutError):
        await heard(reader)
