"""The journal, as a file of one daemon's own, and as a node's part of what all share: while the store answers or does
not, and while the node's own file can be written or cannot.
"""

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
from tests.cluster.nodes import LEASE_S, Listener, Node, engine, line, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import DISK_FULL, FragileStore, at_once, attempt, entry, quiet_journal


@dataclass
class Stage:
    """`fail` and `mend` are what harms the journal and ends the harm; `successor` looks after the servers next."""

    journal: JournalPort
    fail: Callable[[], None]
    mend: Callable[[], None]
    successor: Callable[["Stage"], "asyncio.Future[JournalPort]"]
    health: list[bool]
    listener: Listener
    told: list[tuple[str, int | None]] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.listener.on_entry = self.hear

    def append(self, *messages: str, server: str = "a") -> None:
        for message in messages:
            view = line(server, State.COLD, message=verbatim(message))
            self.journal.append(entry(message, server=server), None, view)

    def hear(self, one: LogEntry) -> None:
        self.told.append((sentence(one.message), one.seq))

    async def kept(self) -> list[tuple[str, int | None]]:
        page = await self.journal.file.page_after(0, 99_999)
        return [(sentence(one.message), one.seq) for one in page.entries]

    async def broken(self) -> None:
        """It has noticed that it cannot be written: entry `x` tells it."""
        self.fail()
        self.append("x")
        await settled()
        assert not self.journal.healthy

    async def mended(self) -> None:
        self.mend()
        await settled()
        await settled()
        assert self.journal.healthy


async def file_of_its_own(folder: Path) -> Stage:
    store = FragileStore(folder / "j.sqlite3")
    listener, health = Listener(), list[bool]()
    journal = Journal[ServerView](lambda: store, at_once, lambda one, _: listener.write(one), health.append)
    await journal.open()

    async def successor(stage: Stage) -> JournalPort:
        await journal.close()
        again = quiet_journal(lambda: JournalStore(folder / "j.sqlite3"))
        await again.open()
        stage.stack.push_async_callback(again.close)
        return again

    def break_it() -> None:
        store.broken = DISK_FULL

    def mend() -> None:
        store.broken = None

    stage = Stage(journal, break_it, mend, lambda stage: asyncio.ensure_future(successor(stage)), health, listener)
    stage.stack.push_async_callback(lambda: asyncio.sleep(0) if store.closed else journal.close())
    return stage


async def cluster_stage(folder: Path) -> tuple[Stage, Node]:
    shared = engine()
    node = Node(shared, "one", folder)

    async def successor(stage: Stage) -> JournalPort:
        await node.die()
        other = Node(shared, "two", folder)
        await stage.stack.enter_async_context(running(other))
        await asyncio.sleep(2 * LEASE_S)
        assert other.host.acquired == {"a", "b"}
        return other.node.journal

    stage = Stage(
        node.node.journal,
        lambda: shared.cut("one"),
        lambda: shared.heal("one"),
        lambda stage: asyncio.ensure_future(successor(stage)),
        health=[],
        listener=node.listener,
    )
    await stage.stack.enter_async_context(running(node))
    node.on_health = stage.health.append
    return stage, node


async def shared_by_all(folder: Path) -> Stage:
    return (await cluster_stage(folder))[0]


async def shared_with_a_bad_disk(folder: Path) -> Stage:
    stage, node = await cluster_stage(folder)

    def break_it() -> None:
        node.file.broken = DISK_FULL

    def mend() -> None:
        node.file.broken = None

    stage.fail, stage.mend = break_it, mend
    return stage


@asynccontextmanager
async def played(make: Callable[[Path], Awaitable[Stage]], folder: Path) -> AsyncIterator[Stage]:
    stage = await make(folder)
    async with stage.stack:
        yield stage


@pytest.fixture(params=[file_of_its_own, shared_by_all, shared_with_a_bad_disk])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[Stage]:
    return played(request.param, tmp_path)


@in_virtual_time
async def test_entries_are_told_once_in_order_with_numbers_that_rise_without_gaps(stage: Stage) -> None:
    stage.append("one", "two")
    assert stage.told == []
    await settled()
    stage.append("three")
    await settled()
    assert stage.told == [("one", 1), ("two", 2), ("three", 3)] == await stage.kept()


@in_virtual_time
async def test_each_servers_entries_keep_their_order(stage: Stage) -> None:
    for number in range(20):
        stage.append(f"a{number}", server="a")
        stage.append(f"b{number}", server="b")
    await settled()
    for server in "ab":
        mine = [message for message, _ in stage.told if message.startswith(server)]
        assert mine == [f"{server}{number}" for number in range(20)]
    assert sorted(seq or 0 for _, seq in stage.told) == [*range(1, 41)]


@in_virtual_time
async def test_what_is_told_is_kept_already(stage: Stage) -> None:
    seen: list[asyncio.Task[list[tuple[str, int | None]]]] = []
    stage.listener.on_entry = lambda _: seen.append(asyncio.ensure_future(stage.kept()))
    stage.append("one")
    await settled()
    assert [await one for one in seen] == [[("one", 1)]]


@in_virtual_time
async def test_a_listener_that_fails_harms_nobody_else(stage: Stage) -> None:
    def fail_at_some(one: LogEntry) -> None:
        if sentence(one.message) in {"one", "three"}:
            raise RuntimeError("a listener's fault")
        stage.hear(one)

    stage.listener.on_entry = fail_at_some
    stage.append("one", "two")
    await settled()
    assert stage.told == [("two", 2)]
    await stage.broken()
    stage.append("three", "four")
    await stage.mended()
    assert [message for message, _ in await stage.kept()] == ["one", "two", "x", "three", "four"]


@in_virtual_time
async def test_what_is_told_may_append_in_turn(stage: Stage) -> None:
    def append_once(one: LogEntry) -> None:
        if sentence(one.message) == "one":
            stage.append("two")
        stage.hear(one)

    stage.listener.on_entry = append_once
    stage.append("one")
    await settled()
    assert stage.told == [("one", 1), ("two", 2)]


@in_virtual_time
async def test_an_open_attempt_and_a_pause_are_found_by_whoever_is_next(stage: Stage) -> None:
    stage.append("nothing special", server="a")
    await stage.journal.append_durably(attempt("p1", server="a"))
    paused = entry("paused", server="b", dest=State.PAUSED)
    stage.journal.append(paused, None, line("b", State.PAUSED))
    await settled()
    saved_states = await (await stage.successor(stage)).saved_states(["a", "b"])
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
async def test_an_attempt_is_there_as_soon_as_it_is_durable(stage: Stage) -> None:
    await stage.journal.append_durably(attempt("p1"))
    found = (await (await stage.successor(stage)).saved_states(["a", "b"]))["a"].attempt
    assert found is not None
    assert found.prompt_id == "p1"


@in_virtual_time
async def test_an_attempt_that_has_ended_is_past(stage: Stage) -> None:
    one = attempt("p1")
    await stage.journal.append_durably(one)
    one.outcome, one.ended_at = Outcome.SUCCEEDED, 101.0
    stage.journal.append(entry("done"), one, line())
    await settled()
    assert (await (await stage.successor(stage)).saved_states(["a", "b"]))["a"].attempt is None


@in_virtual_time
async def test_of_whom_nothing_is_known_there_is_no_past(stage: Stage) -> None:
    assert not await (await stage.successor(stage)).saved_states(["a", "b"])


@in_virtual_time
async def test_attempts_can_be_read_and_stand_as_they_were_last_appended(stage: Stage) -> None:
    one = attempt("p1")
    await stage.journal.append_durably(one)
    one.outcome = Outcome.ACCEPTED
    stage.journal.append(None, one)
    one.message = verbatim("changed afterwards")
    await settled()
    ((back,), _) = (await stage.journal.file.histories(["a"], 9, 9))[0]
    assert (back.outcome, sentence(back.message)) == (Outcome.ACCEPTED, "")


@in_virtual_time
async def test_odd_texts_do_not_keep_anything_from_being_written(stage: Stage) -> None:
    odd = "half a \ud83d, a \0, and 显卡"
    one = Attempt("a", "w", "p1", 100.0, server_prompt_id=odd, message=verbatim(odd))
    await stage.journal.append_durably(one)
    stage.journal.append(entry(odd), one, line(message=verbatim(odd), missing=(odd,)))
    stage.append("after it")
    await settled()
    assert [seq for _, seq in stage.told] == [1, 2]
    assert stage.journal.healthy


@in_virtual_time
async def test_nothing_durable_is_promised_where_it_cannot_be_kept(stage: Stage) -> None:
    await stage.broken()
    with pytest.raises(JournalUnavailableError):
        await stage.journal.append_durably(attempt())
    await stage.mended()
    await stage.journal.append_durably(attempt())


@in_virtual_time
async def test_meanwhile_entries_are_told_without_number_and_once_and_kept_when_it_is_well(stage: Stage) -> None:
    stage.append("before")
    await settled()
    await stage.broken()
    stage.append("one", "two")
    await settled()
    assert stage.told == [("before", 1), ("x", None), ("one", None), ("two", None)]
    await stage.mended()
    stage.append("after")
    await settled()
    assert stage.told[4:] == [("after", 5)]
    assert await stage.kept() == [("before", 1), ("x", 2), ("one", 3), ("two", 4), ("after", 5)]


@in_virtual_time
async def test_each_change_of_health_is_told_once(stage: Stage) -> None:
    await stage.broken()
    stage.append("y")
    await settled()
    await stage.mended()
    stage.append("z")
    await settled()
    assert stage.health == [False, True]


@in_virtual_time
async def test_what_waits_is_bounded_and_what_is_given_up_is_counted(stage: Stage) -> None:
    await stage.broken()
    for number in range(BACKLOG_LIMIT + 4):
        stage.append(str(number), server=f"server {number}")
    assert stage.journal.waiting <= BACKLOG_LIMIT + 1
    assert stage.journal.dropped in {4, 5}
    await settled()
    assert len(stage.told) == BACKLOG_LIMIT + 5


@in_virtual_time
async def test_who_gives_up_waiting_harms_nobody(stage: Stage) -> None:
    waiting = asyncio.ensure_future(stage.journal.append_durably(attempt()))
    await asyncio.sleep(0)
    waiting.cancel()
    stage.append("one")
    await settled()
    assert stage.told == [("one", 1)]
    await stage.journal.append_durably(attempt("p2"))


@in_virtual_time
async def test_it_answers(stage: Stage) -> None:
    async with asyncio.timeout(1):
        await stage.journal.answers()
