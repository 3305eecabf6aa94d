"""Shared values that were overwritten with garbage, deleted or purged: nodes keep what they know and write it again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from statemachine.cluster.membership import node_for
from statemachine.cluster.records import Lease, Record, lease_from, record_from
from statemachine.cluster.store import Dataset, StoredValue
from statemachine.cluster.values import REPORTED_PLACES, Unreadable
from statemachine.journal.rows import attempt_row
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import LEASE_S, Node, engine, make_view, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import attempt

SERVERS = tuple(f"s{number}" for number in range(8))
OTHER_LEASE = Lease("other", "other's session").encoded()
OTHER_RECORD = Record("other's session", "other").encoded("another server")
GARBAGE = {
    "empty": b"",
    "not-utf8": b"\xff\xfe",
    "number": b"7",
    "list": b"[]",
    "object": b"{}",
    "deep": b"[" * 100_000,
    "huge": b'"' + b"x" * 2_000_000 + b'"',
    "truncated": Record("s", "n").encoded("s0")[:-9],
    "types": b'{"session": 1, "node": [], "attempt": {}, "paused": 0, "view": 1, "fleet": 2, "beat": "1", "over": 7}',
    "other-lease": OTHER_LEASE,
    "other-record": OTHER_RECORD,
    "later-version": b'{"version": 99, "value": {}}',
}

Damage = Callable[[FakeEngine, Dataset, str], None]


def overwrite(garbage: bytes) -> Damage:
    return lambda shared, bucket, key: shared.overwrite(bucket, key, garbage)


def remove(shared: FakeEngine, bucket: Dataset, key: str) -> None:
    shared.remove(bucket, key)


def purge(shared: FakeEngine, bucket: Dataset, _key: str) -> None:
    shared.purge(bucket)


DAMAGE: dict[str, Damage] = {name: overwrite(value) for name, value in GARBAGE.items()}
DAMAGE |= {"removed": remove, "purged": purge}


def make_nodes(shared: FakeEngine, folder: Path, *names: str) -> list[Node]:
    return [Node(shared, name, folder, SERVERS) for name in names]


def owner_of(shared: FakeEngine, server: str) -> str | None:
    stored = shared.get(Dataset.SERVERS, server)
    record = record_from(stored) if stored is not None else None
    return record.node if record is not None else None


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@in_virtual_time
async def test_damaged_lease_keeps_its_session_and_is_rewritten(tmp_path: Path, damage: Damage) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        session, owned = one.node.membership.session, set(one.host.acquired)
        for _ in range(10):
            damage(shared, Dataset.NODES, "one")
            await asyncio.sleep(LEASE_S / 7)
            assert one.node.membership.holds_lease
        await settled()
        stored = shared.get(Dataset.NODES, "one")
        lease = lease_from(stored) if stored is not None else None
        assert lease is not None
        assert lease.session == session
        assert one.host.acquired == owned
        assert sorted(two.node.membership.members()) == ["one", "two"]
        assert not [call for call in one.host.calls + two.host.calls if call[0] == "release"]


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@in_virtual_time
async def test_damaged_record_keeps_its_owner_and_is_rewritten(tmp_path: Path, damage: Damage) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        server = min(one.host.acquired)
        for _ in range(10):
            damage(shared, Dataset.SERVERS, server)
            await asyncio.sleep(LEASE_S / 7)
        assert one.node.ownership.records[server].node == "one"
        await one.node.ownership.records.change(server, paused=True)
        await settled()
        assert owner_of(shared, server) == "one"
        assert two.node.ownership.record(server).paused
        assert not [call for call in one.host.calls + two.host.calls if call[0] == "release"]


@pytest.mark.parametrize("damage", [value for name, value in DAMAGE.items() if name != "purged"])
@in_virtual_time
async def test_damaged_record_is_rewritten_without_a_change(tmp_path: Path, damage: Damage) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        for server in SERVERS:
            damage(shared, Dataset.SERVERS, server)
        await asyncio.sleep(1.0)
        assert {owner_of(shared, server) for server in SERVERS} == {"one", "two"}


@in_virtual_time
async def test_node_that_starts_beside_garbage_takes_nothing(tmp_path: Path) -> None:
    """Its owner cannot write, but holds its lease: the key says nothing to a node that never read it."""
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one):
        one.node.ownership.records.rewrite = lambda *_: None  # type: ignore[method-assign]
        one.host.in_flight = set(SERVERS)
        theirs = next(server for server in SERVERS if node_for(server, ("one", "two")) == "two")
        shared.overwrite(Dataset.SERVERS, theirs, b"garbage")
        shared.overwrite(Dataset.NODES, "one", b"garbage")
        async with running(two):
            await asyncio.sleep(LEASE_S * 0.6)
            assert two.host.acquired == set()


@in_virtual_time
async def test_garbage_at_an_ended_lease_does_not_revive_it(tmp_path: Path) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        session = one.node.membership.session
        shared.cut("one")
        await asyncio.sleep(2 * LEASE_S)
        assert two.host.acquired == set(SERVERS)
        shared.overwrite(Dataset.NODES, "one", b"garbage")
        shared.heal("one")
        await asyncio.sleep(3 * LEASE_S)
        assert one.node.membership.session != session
        assert not one.host.acquired & two.host.acquired


@in_virtual_time
async def test_servers_of_a_dead_node_are_taken_despite_garbage(tmp_path: Path) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        await two.die()
        for _ in range(60):
            for server in SERVERS:
                shared.overwrite(Dataset.SERVERS, server, b"garbage")
            shared.overwrite(Dataset.NODES, "two", b"garbage")
            await asyncio.sleep(LEASE_S / 20)
        assert one.host.acquired == set(SERVERS)


def test_garbage_is_reported_once_for_each_key(log_lines: list[str]) -> None:
    unreadable = Unreadable("the record")
    for _ in range(99):
        for key in ("of a", "of b"):
            unreadable.report(key, ValueError("x" * 100_000 + "\n"))
    assert [("of a" in line, "of b" in line) for line in log_lines] == [(True, False), (False, True)]
    assert max(map(len, log_lines)) < 5_000


def test_garbage_at_many_keys_is_reported_for_some(log_lines: list[str]) -> None:
    unreadable = Unreadable("the record")
    for number in range(2_000):
        unreadable.report(f"of {number}", ValueError())
    assert len(log_lines) == REPORTED_PLACES + 1


OF_A = {
    "server": Record("s", "n").encoded("a"),
    "attempt": Record("s", "n", attempt_row(attempt(server="a"))).encoded(),
    "view": Record("s", "n", view=make_view("a")).encoded(),
}


@pytest.mark.parametrize("value", OF_A.values(), ids=OF_A)
def test_record_of_another_server_is_refused(value: bytes) -> None:
    read = record_from(StoredValue("a", value, 1))
    assert read is not None
    assert read.session == "s"
    assert record_from(StoredValue("b", value, 1)) is None


def test_lease_of_another_node_is_refused() -> None:
    assert lease_from(StoredValue("other", OTHER_LEASE, 1)) is not None
    assert lease_from(StoredValue("n", OTHER_LEASE, 1)) is None


def test_record_with_a_long_name_of_a_node_is_refused() -> None:
    """The name becomes part of a subject, and NATS closes the connection if that is too long."""
    assert record_from(StoredValue("a", Record("s", "n" * 5_000).encoded("a"), 1)) is None
