"""What only a journal has to do that several nodes share: the same log in each file, whatever a node has missed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from statemachine.cluster.outbox import QUEUE_LIMIT
from statemachine.cluster.records import Record, SharedEntry
from statemachine.cluster.store import Dataset
from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import State
from statemachine.i18n.render import sentence
from statemachine.journal.journal import BACKLOG_LIMIT
from statemachine.journal.rows import attempt_row
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import Node, engine, line, new_id, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import DISK_FULL, FragileStore, attempt, entry


@asynccontextmanager
async def two(shared: FakeEngine, folder: Path) -> AsyncIterator[tuple[Node, Node, list[tuple[str, int | None]]]]:
    """Two nodes, and what the second is told."""
    one, other = Node(shared, "one", folder), Node(shared, "two", folder, ("c",))
    told: list[tuple[str, int | None]] = []
    async with running(one, other):
        other.listener.on_entry = lambda heard: told.append((sentence(heard.message), heard.seq))
        yield one, other, told


def append(node: Node, *messages: str) -> None:
    for message in messages:
        node.node.journal.append(entry(message), None, line("a", State.COLD))


def in_file(node: Node) -> list[str]:
    return [sentence(one.message) for one in node.file.page_after(0, 99_999).entries]


@in_virtual_time
async def test_every_node_has_the_same_and_is_told_once(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, told):
        append(one, *"abc")
        await settled()
        append(other, "d")
        await settled()
        assert in_file(one) == in_file(other) == [*"abcd"]
        assert told == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]


@in_virtual_time
async def test_who_joins_copies_what_was_and_is_told_only_what_comes(tmp_path: Path) -> None:
    shared = engine()
    for number in range(2 * BACKLOG_LIMIT):
        said = SharedEntry(new_id(), "s", entry(str(number)), None)
        shared.append(said.encoded(), said.id)
    async with two(shared, tmp_path) as (one, other, told):
        await settled()
        append(one, "news")
        await settled()
        assert in_file(other) == [*map(str, range(2 * BACKLOG_LIMIT)), "news"]
        assert told == [("news", 2 * BACKLOG_LIMIT + 1)]
        assert other.node.journal.dropped == 0


@in_virtual_time
async def test_a_slow_file_loses_nothing(tmp_path: Path) -> None:
    shared = engine()
    async with two(shared, tmp_path) as (_, other, told):
        fast = other.copy._run

        async def slow(call):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0.5)
            return await fast(call)

        other.copy._run = slow
        for number in range(BACKLOG_LIMIT + 2_000):
            said = SharedEntry(new_id(), "s", entry(str(number)), None)
            shared.append(said.encoded(), said.id)
        await asyncio.sleep(60)
        assert len(in_file(other)) == len(told) == BACKLOG_LIMIT + 2_000
        assert other.node.journal.dropped == 0


@in_virtual_time
async def test_what_a_bad_disk_has_missed_is_copied_later_and_not_told_again(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, told):
        append(one, "before")
        await settled()
        other.file.broken = DISK_FULL
        append(one, *"abc")
        await settled()
        append(one, *"def")
        await settled()
        other.file.broken = None
        await settled()
        append(one, "after")
        await settled()
        assert in_file(other) == in_file(one) == ["before", *"abcdef", "after"]
        assert told == [("before", 1), *((name, None) for name in "abcdef"), ("after", 8)]


@in_virtual_time
async def test_a_part_that_failed_begins_anew_and_doubles_nothing(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, told):
        append(one, *"abc")
        await settled()
        take = other.node.journal._take

        def fail_once(kept: object) -> None:
            other.node.journal._take = take  # type: ignore[method-assign]
            raise RuntimeError("a fault of ours")

        other.node.journal._take = fail_once  # type: ignore[method-assign]
        append(one, *"def")
        await settled()
        assert in_file(other) == [*"abcdef"]
        assert told == [(name, number) for number, name in enumerate("abcdef", start=1)]


@in_virtual_time
async def test_what_is_not_understood_is_left_out(tmp_path: Path) -> None:
    shared = engine()
    async with two(shared, tmp_path) as (one, other, _):
        for number, garbage in enumerate([b"", b"[]", b"{}", b"7", b'{"id": 1, "session": 2, "entry": 3, "view": 4}']):
            shared.append(garbage, f"garbage {number}")
        append(one, "news")
        await settled()
        assert in_file(other) == ["news"]


@in_virtual_time
async def test_entries_in_doubt_are_not_doubled(tmp_path: Path) -> None:
    shared = engine()
    shared.in_doubt = lambda: True
    async with two(shared, tmp_path) as (one, other, told):
        for round_number in range(5):
            shared.cut("one")
            append(one, f"a{round_number}", f"b{round_number}")
            await asyncio.sleep(2.0 + round_number)
            shared.heal("one")
            await settled()
            await settled()
        names = [f"{letter}{number}" for number in range(5) for letter in "ab"]
        assert in_file(one) == in_file(other) == names
        assert [message for message, _ in told] == names


@in_virtual_time
async def test_what_was_said_last_is_kept_before_a_node_leaves(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, _):
        append(one, *map(str, range(50)))
        await one.leave()
        await settled()
        assert in_file(other) == [*map(str, range(50))]


@in_virtual_time
async def test_the_outbox_is_bounded_while_nobody_answers(tmp_path: Path) -> None:
    shared = engine()
    async with two(shared, tmp_path) as (one, _, _told):
        shared.cut("one")
        append(one, *map(str, range(QUEUE_LIMIT + 10)))
        await settled()
        assert one.node.journal.waiting <= QUEUE_LIMIT + 1
        assert one.node.journal.dropped == 10


@in_virtual_time
async def test_other_nodes_attempts_are_shown_and_written_once(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, _):
        await one.node.journal.append_durably(attempt("p1", server="a"))
        await settled()
        writes = other.file.writes
        for number in range(10):
            view = line("a", State.COLD, 100.0 + number)
            one.node.journal.append(None, None, view)
            await settled()
        (shown,) = other.file.newest_attempts("a", 9)
        assert shown.prompt_id == "p1"
        assert other.file.writes == writes


@in_virtual_time
async def test_many_attempts_at_once_drop_no_entries(tmp_path: Path) -> None:
    shared = engine()
    for number in range(BACKLOG_LIMIT + 500):
        row = attempt_row(attempt(f"p{number}", server=f"s{number}"))
        shared.put(Dataset.SERVERS, f"s{number}", Record("s", "n", row).encoded(), 0)
    async with two(shared, tmp_path) as (_, other, _told):
        await asyncio.sleep(30)
        assert other.node.journal.dropped == 0
        assert len(other.file.newest_attempts(f"s{BACKLOG_LIMIT + 499}", 1)) == 1


@in_virtual_time
async def test_a_file_that_cannot_be_opened_keeps_nobody_from_being_told(tmp_path: Path) -> None:
    shared = engine()
    one, other = Node(shared, "one", tmp_path), Node(shared, "two", tmp_path, ("c",))
    other.open_file = _fail
    told: list[LogEntry] = []
    other.listener.on_entry = told.append
    async with running(one):
        start = asyncio.ensure_future(other.node.journal.open())
        await start
        running_other = asyncio.ensure_future(other.node.run())
        await settled()
        append(one, "news")
        await settled()
        assert [(sentence(heard.message), heard.seq) for heard in told] == [("news", None)]
        other.open_file = lambda: other.file
        await settled()
        assert in_file(other) == ["news"]
        running_other.cancel()
        await asyncio.gather(running_other, return_exceptions=True)
    await other.copy.close()


def _fail() -> FragileStore:
    raise DISK_FULL
