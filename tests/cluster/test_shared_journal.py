"""The journal of a node: the same log in the file of every node, even after a node missed entries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from statemachine.cluster.outbox import QUEUE_LIMIT
from statemachine.cluster.records import Record, SharedEntry
from statemachine.cluster.store import Dataset
from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import State
from statemachine.i18n.render import sentence
from statemachine.journal.journal import BACKLOG_LIMIT
from statemachine.journal.port import JournalUnavailableError
from statemachine.journal.rows import attempt_row
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import Node, engine, make_view, new_id, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import DISK_FULL, FragileStore, attempt, entry


@asynccontextmanager
async def two(shared: FakeEngine, folder: Path) -> AsyncIterator[tuple[Node, Node, list[tuple[str, int | None]]]]:
    """Run two nodes; yield them with what the second publishes: message and number of each entry."""
    one, other = Node(shared, "one", folder), Node(shared, "two", folder, ("c",))
    published: list[tuple[str, int | None]] = []
    async with running(one, other):
        other.listener.on_entry = lambda received: published.append((sentence(received.message), received.seq))
        yield one, other, published


def append(node: Node, *messages: str) -> None:
    for message in messages:
        node.node.journal.append(entry(message), None, make_view("a", State.COLD))


def in_file(node: Node) -> list[str]:
    return [sentence(one.message) for one in node.file.page_after(0, 99_999).entries]


@in_virtual_time
async def test_append_is_copied_and_published_once_on_each_node(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, published):
        append(one, *"abc")
        await settled()
        append(other, "d")
        await settled()
        assert in_file(one) == in_file(other) == [*"abcd"]
        assert published == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]


@in_virtual_time
async def test_join_copies_old_entries_without_publishing_them(tmp_path: Path) -> None:
    shared = engine()
    for number in range(2 * BACKLOG_LIMIT):
        shared_entry = SharedEntry(new_id(), "s", entry(str(number)), None)
        shared.append(shared_entry.encoded(), shared_entry.id)
    async with two(shared, tmp_path) as (one, other, published):
        await settled()
        append(one, "news")
        await settled()
        assert in_file(other) == [*map(str, range(2 * BACKLOG_LIMIT)), "news"]
        assert published == [("news", 2 * BACKLOG_LIMIT + 1)]
        assert other.node.journal.dropped == 0


@in_virtual_time
async def test_copy_slow_file_loses_nothing(tmp_path: Path) -> None:
    shared = engine()
    async with two(shared, tmp_path) as (_, other, published):
        fast = other.copy._run

        async def slow(call):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0.5)
            return await fast(call)

        other.copy._run = slow
        for number in range(BACKLOG_LIMIT + 2_000):
            shared_entry = SharedEntry(new_id(), "s", entry(str(number)), None)
            shared.append(shared_entry.encoded(), shared_entry.id)
        await asyncio.sleep(60)
        assert len(in_file(other)) == len(published) == BACKLOG_LIMIT + 2_000
        assert other.node.journal.dropped == 0


@in_virtual_time
async def test_copy_after_disk_failure_catches_up_unpublished(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, published):
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
        assert published == [("before", 1), *((name, None) for name in "abcdef"), ("after", 8)]


@in_virtual_time
async def test_run_after_an_exception_continues_without_repeats(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, published):
        append(one, *"abc")
        await settled()
        on_entry = other.node.journal._on_entry

        def fail_once(stored: object) -> None:
            other.node.journal._on_entry = on_entry  # type: ignore[method-assign]
            raise RuntimeError("injected")

        other.node.journal._on_entry = fail_once  # type: ignore[method-assign]
        append(one, *"def")
        await settled()
        assert in_file(other) == [*"abcdef"]
        assert published == [(name, number) for number, name in enumerate("abcdef", start=1)]


@in_virtual_time
async def test_copy_unreadable_entries_are_skipped(tmp_path: Path) -> None:
    shared = engine()
    async with two(shared, tmp_path) as (one, other, _):
        for number, garbage in enumerate([b"", b"[]", b"{}", b"7", b'{"id": 1, "session": 2, "entry": 3, "view": 4}']):
            shared.append(garbage, f"garbage {number}")
        append(one, "news")
        await settled()
        assert in_file(other) == ["news"]


@in_virtual_time
async def test_append_in_doubt_is_not_repeated(tmp_path: Path) -> None:
    shared = engine()
    shared.in_doubt = lambda: True
    async with two(shared, tmp_path) as (one, other, published):
        for round_number in range(5):
            shared.cut("one")
            append(one, f"a{round_number}", f"b{round_number}")
            await asyncio.sleep(2.0 + round_number)
            shared.heal("one")
            await settled()
            await settled()
        names = [f"{letter}{number}" for number in range(5) for letter in "ab"]
        assert in_file(one) == in_file(other) == names
        assert [message for message, _ in published] == names


@in_virtual_time
async def test_leave_sends_the_last_entries(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, _):
        append(one, *map(str, range(50)))
        await one.leave()
        await settled()
        assert in_file(other) == [*map(str, range(50))]


@in_virtual_time
async def test_append_while_cut_off_drops_beyond_the_limit(tmp_path: Path) -> None:
    shared = engine()
    async with two(shared, tmp_path) as (one, _, _published):
        shared.cut("one")
        append(one, *map(str, range(QUEUE_LIMIT + 10)))
        await settled()
        assert one.node.journal.waiting <= QUEUE_LIMIT + 1
        assert one.node.journal.dropped == 10


@in_virtual_time
async def test_attempts_of_other_nodes_are_copied_once(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other, _):
        await one.node.journal.append_durably(attempt("p1", server="a"))
        await settled()
        writes = other.file.writes
        for number in range(10):
            view = make_view("a", State.COLD, 100.0 + number)
            one.node.journal.append(None, None, view)
            await settled()
        (shown,) = other.file.newest_attempts("a", 9)
        assert shown.prompt_id == "p1"
        assert other.file.writes == writes


@in_virtual_time
async def test_attempts_of_many_servers_drop_no_entries(tmp_path: Path) -> None:
    shared = engine()
    for number in range(BACKLOG_LIMIT + 500):
        row = attempt_row(attempt(f"p{number}", server=f"s{number}"))
        shared.put(Dataset.SERVERS, f"s{number}", Record("s", "n", row).encoded(), 0)
    async with two(shared, tmp_path) as (_, other, _published):
        await asyncio.sleep(30)
        assert other.node.journal.dropped == 0
        assert len(other.file.newest_attempts(f"s{BACKLOG_LIMIT + 499}", 1)) == 1


@in_virtual_time
async def test_open_failing_file_still_publishes(tmp_path: Path) -> None:
    shared = engine()
    one, other = Node(shared, "one", tmp_path), Node(shared, "two", tmp_path, ("c",))
    other.open_file = _fail
    published: list[LogEntry] = []
    other.listener.on_entry = published.append
    async with running(one):
        await other.node.journal.open()
        running_other = asyncio.ensure_future(other.node.run())
        await settled()
        append(one, "news")
        await settled()
        assert [(sentence(received.message), received.seq) for received in published] == [("news", None)]
        other.open_file = lambda: other.file
        await settled()
        assert in_file(other) == ["news"]
        running_other.cancel()
        await asyncio.gather(running_other, return_exceptions=True)
    await other.copy.close()


def _fail() -> FragileStore:
    raise DISK_FULL


@in_virtual_time
async def test_append_durably_without_the_data_folder_raises(tmp_path: Path) -> None:
    """The attempt would be safe in the server's record, but another daemon may work in the folder by now."""
    folder = tmp_path / "data"
    node = Node(engine(), "one", folder)
    async with running(node):
        await node.node.journal.append_durably(attempt("first"))
        folder.rename(tmp_path / "moved")
        with pytest.raises(JournalUnavailableError, match="moved away"):
            await node.node.journal.append_durably(attempt("second"))
        record = node.node.ownership.record("a")
        assert record.saved_state.attempt is not None
        assert record.saved_state.attempt.prompt_id == "first"
        (tmp_path / "moved").rename(folder)
        await settled()
        await node.node.journal.append_durably(attempt("third"))
