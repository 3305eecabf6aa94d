"""The contract of JournalPort: a file of a single daemon, and a node whose store or own file fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from statemachine.core.attempt import Attempt, Outcome
from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import verbatim
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import State
from statemachine.i18n.render import sentence
from statemachine.journal.journal import BACKLOG_LIMIT, Journal
from statemachine.journal.port import JournalPort, JournalUnavailableError, SavedState
from statemachine.journal.store import JournalStore
from tests.cluster.nodes import LEASE_S, Listener, Node, engine, make_view, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import DISK_FULL, FragileStore, at_once, attempt, entry, quiet_journal


@dataclass
class Setup:
    """`fail` and `repair` break and repair the journal. `successor` returns the journal of the servers' next owner."""

    journal: JournalPort
    fail: Callable[[], None]
    repair: Callable[[], None]
    successor: Callable[["Setup"], "asyncio.Future[JournalPort]"]
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


async def own_file(folder: Path) -> Setup:
    store = FragileStore(folder / "j.sqlite3")
    listener, health = Listener(), list[bool]()
    journal = Journal[ServerView](lambda: store, at_once, lambda one, _: listener.write(one), health.append)
    await journal.open()

    async def successor(setup: Setup) -> JournalPort:
        await journal.close()
        again = quiet_journal(lambda: JournalStore(folder / "j.sqlite3"))
        await again.open()
        setup.stack.push_async_callback(again.close)
        return again

    def break_it() -> None:
        store.broken = DISK_FULL

    def repair() -> None:
        store.broken = None

    setup = Setup(journal, break_it, repair, lambda setup: asyncio.ensure_future(successor(setup)), health, listener)
    setup.stack.push_async_callback(lambda: asyncio.sleep(0) if store.closed else journal.close())
    return setup


async def cluster_setup(folder: Path) -> tuple[Setup, Node]:
    shared = engine()
    node = Node(shared, "one", folder)

    async def successor(setup: Setup) -> JournalPort:
        await node.die()
        other = Node(shared, "two", folder)
        await setup.stack.enter_async_context(running(other))
        await asyncio.sleep(2 * LEASE_S)
        assert other.host.acquired == {"a", "b"}
        return other.node.journal

    setup = Setup(
        node.node.journal,
        lambda: shared.cut("one"),
        lambda: shared.heal("one"),
        lambda setup: asyncio.ensure_future(successor(setup)),
        health=[],
        listener=node.listener,
    )
    await setup.stack.enter_async_context(running(node))
    node.on_health = setup.health.append
    return setup, node


async def node_with_failing_store(folder: Path) -> Setup:
    return (await cluster_setup(folder))[0]


async def node_with_failing_file(folder: Path) -> Setup:
    setup, node = await cluster_setup(folder)

    def break_it() -> None:
        node.file.broken = DISK_FULL

    def repair() -> None:
        node.file.broken = None

    setup.fail, setup.repair = break_it, repair
    return setup


@asynccontextmanager
async def entered(make: Callable[[Path], Awaitable[Setup]], folder: Path) -> AsyncIterator[Setup]:
    setup = await make(folder)
    async with setup.stack:
        yield setup


@pytest.fixture(params=[own_file, node_with_failing_store, node_with_failing_file])
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Setup]:
    return entered(request.param, tmp_path)


@in_virtual_time
async def test_append_publishes_in_order_with_consecutive_numbers(setup: Setup) -> None:
    setup.append("one", "two")
    assert setup.published == []
    await settled()
    setup.append("three")
    await settled()
    assert setup.published == [("one", 1), ("two", 2), ("three", 3)] == await setup.stored()


@in_virtual_time
async def test_append_keeps_the_order_of_each_server(setup: Setup) -> None:
    for number in range(20):
        setup.append(f"a{number}", server="a")
        setup.append(f"b{number}", server="b")
    await settled()
    for server in "ab":
        mine = [message for message, _ in setup.published if message.startswith(server)]
        assert mine == [f"{server}{number}" for number in range(20)]
    assert sorted(seq or 0 for _, seq in setup.published) == [*range(1, 41)]


@in_virtual_time
async def test_append_publishes_after_the_entry_is_stored(setup: Setup) -> None:
    seen: list[asyncio.Task[list[tuple[str, int | None]]]] = []
    setup.listener.on_entry = lambda _: seen.append(asyncio.ensure_future(setup.stored()))
    setup.append("one")
    await settled()
    assert [await one for one in seen] == [[("one", 1)]]


@in_virtual_time
async def test_append_failing_listener_misses_only_that_entry(setup: Setup) -> None:
    def fail_at_some(one: LogEntry) -> None:
        if sentence(one.message) in {"one", "three"}:
            raise RuntimeError("injected")
        setup.record(one)

    setup.listener.on_entry = fail_at_some
    setup.append("one", "two")
    await settled()
    assert setup.published == [("two", 2)]
    await setup.break_and_wait()
    setup.append("three", "four")
    await setup.repair_and_wait()
    assert [message for message, _ in await setup.stored()] == ["one", "two", "x", "three", "four"]


@in_virtual_time
async def test_append_from_a_listener_is_published(setup: Setup) -> None:
    def append_once(one: LogEntry) -> None:
        if sentence(one.message) == "one":
            setup.append("two")
        setup.record(one)

    setup.listener.on_entry = append_once
    setup.append("one")
    await settled()
    assert setup.published == [("one", 1), ("two", 2)]


@in_virtual_time
async def test_saved_states_has_open_attempt_and_pause(setup: Setup) -> None:
    setup.append("nothing special", server="a")
    await setup.journal.append_durably(attempt("p1", server="a"))
    paused = entry("paused", server="b", dest=State.PAUSED)
    setup.journal.append(paused, None, make_view("b", State.PAUSED))
    await settled()
    saved_states = await (await setup.successor(setup)).saved_states(["a", "b"])
    found = saved_states["a"].attempt
    assert found is not None
    assert (found.prompt_id, found.outcome, found.instance, saved_states["a"].paused) == (
        "p1",
        Outcome.RECORDED,
        "4f",
        False,
    )
    assert saved_states["b"] == SavedState(None, paused=True)


@in_virtual_time
async def test_append_durably_attempt_survives_at_once(setup: Setup) -> None:
    await setup.journal.append_durably(attempt("p1"))
    found = (await (await setup.successor(setup)).saved_states(["a", "b"]))["a"].attempt
    assert found is not None
    assert found.prompt_id == "p1"


@in_virtual_time
async def test_saved_states_ended_attempt_is_left_out(setup: Setup) -> None:
    one = attempt("p1")
    await setup.journal.append_durably(one)
    one.outcome, one.ended_at = Outcome.SUCCEEDED, 101.0
    setup.journal.append(entry("done"), one, make_view())
    await settled()
    assert (await (await setup.successor(setup)).saved_states(["a", "b"]))["a"].attempt is None


@in_virtual_time
async def test_saved_states_unknown_servers_is_empty(setup: Setup) -> None:
    assert not await (await setup.successor(setup)).saved_states(["a", "b"])


@in_virtual_time
async def test_append_attempt_stores_it_as_it_was_then(setup: Setup) -> None:
    one = attempt("p1")
    await setup.journal.append_durably(one)
    one.outcome = Outcome.ACCEPTED
    setup.journal.append(None, one)
    one.message = verbatim("changed later")
    await settled()
    ((back,), _) = (await setup.journal.file.histories(["a"], 9, 9))[0]
    assert (back.outcome, sentence(back.message)) == (Outcome.ACCEPTED, "")


@in_virtual_time
async def test_append_unencodable_text_is_stored(setup: Setup) -> None:
    odd = "half a \ud83d, a \0, and 显卡"
    one = Attempt("a", "w", "p1", 100.0, server_prompt_id=odd, message=verbatim(odd))
    await setup.journal.append_durably(one)
    setup.journal.append(entry(odd), one, make_view(message=verbatim(odd), missing=(odd,)))
    setup.append("after it")
    await settled()
    assert [seq for _, seq in setup.published] == [1, 2]
    assert setup.journal.healthy


@in_virtual_time
async def test_append_durably_broken_journal_raises(setup: Setup) -> None:
    await setup.break_and_wait()
    with pytest.raises(JournalUnavailableError):
        await setup.journal.append_durably(attempt())
    await setup.repair_and_wait()
    await setup.journal.append_durably(attempt())


@in_virtual_time
async def test_append_while_broken_publishes_once_and_stores_later(setup: Setup) -> None:
    setup.append("before")
    await settled()
    await setup.break_and_wait()
    setup.append("one", "two")
    await settled()
    assert setup.published == [("before", 1), ("x", None), ("one", None), ("two", None)]
    await setup.repair_and_wait()
    setup.append("after")
    await settled()
    assert setup.published[4:] == [("after", 5)]
    assert await setup.stored() == [("before", 1), ("x", 2), ("one", 3), ("two", 4), ("after", 5)]


@in_virtual_time
async def test_on_health_reports_each_change_once(setup: Setup) -> None:
    await setup.break_and_wait()
    setup.append("y")
    await settled()
    await setup.repair_and_wait()
    setup.append("z")
    await settled()
    assert setup.health == [False, True]


@in_virtual_time
async def test_append_while_broken_drops_beyond_the_limit(setup: Setup) -> None:
    await setup.break_and_wait()
    for number in range(BACKLOG_LIMIT + 4):
        setup.append(str(number), server=f"server {number}")
    assert setup.journal.waiting <= BACKLOG_LIMIT + 1
    assert setup.journal.dropped in {4, 5}
    await settled()
    assert len(setup.published) == BACKLOG_LIMIT + 5


@in_virtual_time
async def test_append_durably_cancelled_changes_nothing_else(setup: Setup) -> None:
    waiting = asyncio.ensure_future(setup.journal.append_durably(attempt()))
    await asyncio.sleep(0)
    waiting.cancel()
    setup.append("one")
    await settled()
    assert setup.published == [("one", 1)]
    await setup.journal.append_durably(attempt("p2"))


@in_virtual_time
async def test_answers_returns_in_time(setup: Setup) -> None:
    async with asyncio.timeout(1):
        await setup.journal.ping()
