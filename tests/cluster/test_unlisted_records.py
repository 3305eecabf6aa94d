"""Records of servers that left the fleet: some are kept, the others are deleted, none of a server that a node lists."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from statemachine.cluster.followers import RecordFollower
from statemachine.cluster.records import Record, record_from
from statemachine.cluster.store import Dataset
from statemachine.cluster.unlisted_records import KEPT_S, UnlistedRecords
from statemachine.core.pause import Pause
from statemachine.core.repetition import Streak
from statemachine.core.restart import Restart, RestartCause, RestartStage
from statemachine.core.vocabulary import Reason
from statemachine.journal.restart_rows import restart_row
from statemachine.journal.rows import attempt_row
from tests.cluster.fake_store import FakeEngine, FakeStore
from tests.cluster.nodes import LEASE_S, Node, engine, loop_time, make_view, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import attempt as make_attempt

LEFT = [f"left{number}" for number in range(30)]
KEPT = 10
OWNED = Record("session", "alive")


class Rig:
    """A node's follower of the records and its deletions."""

    def __init__(self, shared: FakeEngine, name: str) -> None:
        self.store: FakeStore = shared.store(name, 1.0)
        self.records = RecordFollower(self.store, loop_time, lambda: None, lambda _: None)
        lives = lambda node, _: node == "alive"  # noqa: E731
        self.deletions = UnlistedRecords(self.store, self.records, lives, loop_time, KEPT)

    def remembered(self) -> set[str]:
        return set(self.records._seen)


@asynccontextmanager
async def rig(shared: FakeEngine, name: str, listed: Collection[str] = ()) -> AsyncIterator[Rig]:
    made = Rig(shared, name)
    made.records.set_listed(frozenset(listed))
    tasks = [asyncio.ensure_future(made.records.run()), asyncio.ensure_future(made.deletions.run())]
    await settled()
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def stored(shared: FakeEngine) -> set[str]:
    return set(shared.datasets[Dataset.SERVERS].keys)


def with_records(names: Collection[str], record: Record = Record(paused=True)) -> FakeEngine:  # noqa: B008
    shared = engine()
    for name in names:
        shared.put(Dataset.SERVERS, name, record.encoded(name), 0)
    return shared


@in_virtual_time
async def test_only_the_newest_are_kept_by_every_node() -> None:
    shared = with_records(LEFT)
    async with rig(shared, "one") as one, rig(shared, "two") as two:
        await asyncio.sleep(0.9 * KEPT_S)
        assert stored(shared) == set(LEFT)
        await asyncio.sleep(0.2 * KEPT_S)
        assert stored(shared) == one.remembered() == two.remembered() == set(LEFT[-KEPT:])


@in_virtual_time
async def test_listed_and_owned_servers_are_kept() -> None:
    shared = with_records(LEFT)
    shared.overwrite(Dataset.SERVERS, LEFT[0], OWNED.encoded(LEFT[0]))
    async with rig(shared, "one", listed=LEFT[1:3]) as one:
        await asyncio.sleep(2 * KEPT_S)
        assert stored(shared) == one.remembered() == {*LEFT[:3], *LEFT[-KEPT:]}


@in_virtual_time
async def test_servers_of_a_dead_node_that_no_node_lists_are_deleted() -> None:
    shared = with_records(LEFT, Record("session", "dead"))
    async with rig(shared, "one") as one:
        await asyncio.sleep(2 * KEPT_S)
        assert stored(shared) == one.remembered() == set(LEFT[-KEPT:])


@in_virtual_time
async def test_record_written_meanwhile_stays() -> None:
    """Another node acquires the server; this one has not seen that yet."""
    shared = with_records(LEFT)
    async with rig(shared, "one") as one:
        forget = one.store.forget

        async def late(bucket: Dataset, key: str, revision: int) -> None:
            if key == LEFT[0] and shared.datasets[bucket].keys[key].revision == revision:
                shared.overwrite(bucket, key, OWNED.encoded(key))
            await forget(bucket, key, revision)

        one.store.forget = late  # type: ignore[method-assign]
        await asyncio.sleep(2 * KEPT_S)
        assert stored(shared) == one.remembered() == {LEFT[0], *LEFT[-KEPT:]}


@in_virtual_time
async def test_deletion_goes_on_after_the_store_was_away() -> None:
    shared = with_records(LEFT)
    async with rig(shared, "one") as one:
        shared.down()
        await asyncio.sleep(2 * KEPT_S)
        assert len(one.remembered()) == len(LEFT)
        shared.up()
        await asyncio.sleep(100.0)
        assert stored(shared) == one.remembered() == set(LEFT[-KEPT:])


@in_virtual_time
async def test_server_that_comes_again_is_acquired_with_what_its_record_has(tmp_path: Path) -> None:
    """Also where another node has deleted the record: this one remembers it, or begins without."""
    shared = engine()
    row = attempt_row(make_attempt(server="s0"))
    shared.put(Dataset.SERVERS, "s0", Record(attempt=row, paused=True, view=make_view("s0")).encoded("s0"), 0)
    node = Node(shared, "one", tmp_path, ())
    async with running(node):
        shared.delete(Dataset.SERVERS, "s0")
        await node.node.ownership.set_servers(("s0",), node.host)
        await asyncio.sleep(2 * LEASE_S)
        assert node.host.acquired == {"s0"}
        record = record_from(shared.datasets[Dataset.SERVERS].keys["s0"])
        assert record is not None
        assert (record.attempt, record.paused, record.view) == (row, True, None)


NOW = 1_767_225_600.0
STREAK = Streak(Reason.PROMPT_FAILED, 2)
RESTART = Restart("r1", "s0", RestartCause.OPERATOR, NOW, "alice", RestartStage.HOOK, hook_started_at=NOW)
CONTENTS = {
    "pause": Record(paused=True, pause=Pause(NOW, "driver update", "alice")),
    "restart": Record(restart=restart_row(RESTART)),
    "streak": Record(streak=STREAK),
}


@in_virtual_time
@pytest.mark.parametrize("listed_before", [False, True], ids=["a node starts", "a server comes again"])
@pytest.mark.parametrize("content", CONTENTS)
async def test_server_without_attempt_is_resumed(tmp_path: Path, content: str, *, listed_before: bool) -> None:
    """All nodes have left, and so has the server: nothing but what the record has is known of it."""
    shared, record = engine(), CONTENTS[content]
    shared.put(Dataset.SERVERS, "s0", replace(record, view=make_view("s0")).encoded("s0"), 0)
    node = Node(shared, "one", tmp_path, ())
    async with running(node):
        if listed_before:
            for servers in (("s0",), ()):
                await node.node.ownership.set_servers(servers, node.host)
                await settled()
            await node.host.release(["s0"])
        await node.node.ownership.set_servers(("s0",), node.host)
        await settled()
        assert (await node.node.journal.saved_states(["s0"]))["s0"] == record.saved_state


@in_virtual_time
async def test_new_server_has_no_saved_state(tmp_path: Path) -> None:
    node = Node(engine(), "one", tmp_path, ("s0",))
    async with running(node):
        assert await node.node.journal.saved_states(["s0"]) == {}
