"""Ownership while nodes join, leave, crash, are cut off or stopped: no server has two owners."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from statemachine.cluster.membership import node_for
from statemachine.cluster.owned_records import OwnedRecords
from statemachine.cluster.records import Record, record_from
from statemachine.cluster.store import Dataset
from statemachine.journal.rows import attempt_row
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import LEASE_S, Node, engine, make_view, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import attempt as make_attempt

SERVERS = tuple(f"s{number}" for number in range(30))


def make_nodes(shared: FakeEngine, folder: Path, *names: str, servers: tuple[str, ...] = SERVERS) -> list[Node]:
    return [Node(shared, name, folder, servers) for name in names]


def share_of(name: str, *nodes: str) -> set[str]:
    return {server for server in SERVERS if node_for(server, nodes) == name}


@in_virtual_time
async def test_leave_frees_all_servers_at_once(tmp_path: Path) -> None:
    one, two = make_nodes(engine(), tmp_path, "one", "two")
    async with running(one, two):
        await two.host.release(list(two.host.acquired))
        await two.leave()
        await asyncio.sleep(1.0)
        assert one.host.acquired == set(SERVERS)


@in_virtual_time
async def test_leave_acquires_nothing_more(tmp_path: Path) -> None:
    shared, rng = engine(), Random(1)
    (one,) = make_nodes(shared, tmp_path, "one")
    async with running(one):
        one.host.calls.clear()
        shared.latency = lambda: rng.random() * 0.4
        leaving = asyncio.ensure_future(one.node.leave())
        await settled()
        await leaving
        assert one.host.calls == []
        assert not one.node.ownership.owns("s0")


@in_virtual_time
async def test_crash_frees_servers_when_the_lease_ends(tmp_path: Path) -> None:
    one, two = make_nodes(engine(), tmp_path, "one", "two")
    async with running(one, two):
        before = set(one.host.acquired)
        await two.die()
        await asyncio.sleep(LEASE_S * 0.8)
        assert one.host.acquired == before
        await asyncio.sleep(LEASE_S)
        assert one.host.acquired == set(SERVERS)


@in_virtual_time
async def test_server_whose_record_was_deleted_is_acquired(tmp_path: Path) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        for server in two.host.acquired:
            del shared.datasets[Dataset.SERVERS].keys[server]
        await two.die()
        await asyncio.sleep(2 * LEASE_S)
        assert one.host.acquired == set(SERVERS)


@in_virtual_time
async def test_may_submit_cut_off_node_stops_before_others_start(tmp_path: Path) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        theirs = next(iter(two.host.acquired))
        shared.cut("two")
        while not one.node.ownership.may_submit(theirs):
            await asyncio.sleep(0.01)
            assert not (one.node.ownership.may_submit(theirs) and two.node.ownership.may_submit(theirs))
        assert not two.node.ownership.may_submit(theirs)
        shared.heal("two")
        await settled()
        await settled()
        assert one.host.acquired | two.host.acquired == set(SERVERS)
        assert not one.host.acquired & two.host.acquired


@in_virtual_time
async def test_may_submit_after_a_stop_waits_for_the_renewal(tmp_path: Path) -> None:
    """The clock runs while the process is stopped."""
    one, *_ = make_nodes(engine(), tmp_path, "one")
    stopped_s = 0.0
    steady = one.node.membership.steady
    one.node.membership.steady = lambda: steady() + stopped_s
    async with running(one):
        assert one.node.ownership.may_submit("s0")
        stopped_s = LEASE_S * 0.81
        assert not one.node.ownership.may_submit("s0")
        assert one.node.ownership.owns("s0")
        await settled()
        assert one.node.ownership.may_submit("s0"), "no other node has ended the lease"


@in_virtual_time
async def test_join_moves_only_the_share_of_the_new_node(tmp_path: Path) -> None:
    shared = engine()
    one, two, three = make_nodes(shared, tmp_path, "one", "two", "three")
    async with running(one, two):
        one.host.calls.clear()
        two.host.calls.clear()
        async with running(three):
            await settled()
            share = share_of("three", "one", "two", "three")
            assert three.host.acquired == share
            assert {server for _, server in one.host.calls + two.host.calls} == share


@in_virtual_time
async def test_hand_over_releases_before_freeing_the_record(tmp_path: Path) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    owners: list[str | None] = []

    def note_owner(server: str) -> None:
        stored = shared.get(Dataset.SERVERS, server)
        record = record_from(stored) if stored is not None else None
        owners.append(record.node if record is not None else None)

    async with running(one):
        one.host.on_release = note_owner
        async with running(two):
            await settled()
            assert owners == ["one"] * len(two.host.acquired)


@in_virtual_time
async def test_hand_over_waits_for_a_prompt_in_flight(tmp_path: Path) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    share = share_of("two", "one", "two")
    busy = min(share)
    async with running(one):
        one.host.in_flight.add(busy)
        async with running(two):
            await asyncio.sleep(60)
            assert two.host.acquired == share - {busy}
            assert one.node.ownership.may_submit(busy)
            one.host.in_flight.clear()
            await settled()
            assert two.host.acquired == share


@in_virtual_time
async def test_hand_over_lost_write_is_repeated(tmp_path: Path) -> None:
    """The write that frees a server is lost. Its node keeps running, so no other node could take it."""
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one):
        first = asyncio.Event()
        one.host.on_release = lambda _: first.set()
        await two.start()
        await first.wait()
        shared.cut("one")
        await asyncio.sleep(4.0)
        shared.heal("one")
        for _ in range(10):
            await settled()
        await two.close()
        assert one.host.acquired | two.host.acquired == set(SERVERS)
        assert not one.host.acquired & two.host.acquired


@in_virtual_time
async def test_writes_in_doubt_leave_every_server_owned_once(tmp_path: Path) -> None:
    shared = engine()
    shared.in_doubt = lambda: True
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        for pause_s in (0.5, 3.0, 9.0, 15.0, 40.0):
            shared.cut("one")
            await asyncio.sleep(pause_s)
            shared.heal("one")
            await asyncio.sleep(2 * LEASE_S)
            assert one.host.acquired | two.host.acquired == set(SERVERS)
            assert not one.host.acquired & two.host.acquired


@in_virtual_time
async def test_set_servers_while_cut_off_returns_in_time(tmp_path: Path) -> None:
    shared = engine()
    (one,) = make_nodes(shared, tmp_path, "one")
    async with running(one):
        shared.cut("one")
        async with asyncio.timeout(3):
            await one.host.release(SERVERS[1:])
            await one.node.ownership.set_servers(SERVERS[:1], one.host)


@in_virtual_time
async def test_acquire_failing_host_is_retried(tmp_path: Path) -> None:
    (one,) = make_nodes(engine(), tmp_path, "one")
    acquire, failures = one.host.acquire, 2

    async def fail_twice(servers: object) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise RuntimeError("injected")
        await acquire(servers)  # type: ignore[arg-type]

    one.host.acquire = fail_twice  # type: ignore[method-assign]
    async with running(one):
        await settled()
        assert one.host.acquired == set(SERVERS)


@in_virtual_time
async def test_unreadable_record_is_free_after_a_lease(tmp_path: Path) -> None:
    """A living owner that this node has not seen yet writes it again in that time."""
    shared = engine()
    shared.put(Dataset.SERVERS, "s0", b"garbage", 0)
    shared.put(Dataset.NODES, "two", b"[]", 0)
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        await asyncio.sleep(0.5 * LEASE_S)
        assert one.host.acquired | two.host.acquired == set(SERVERS) - {"s0"}
        await asyncio.sleep(2 * LEASE_S)
        assert one.host.acquired | two.host.acquired == set(SERVERS)


OTHERS_VIEW = make_view("another server")


@in_virtual_time
@pytest.mark.parametrize("garbage", [b"garbage", b"{}", Record(view=OTHERS_VIEW).encoded(), None])
async def test_record_that_others_damage_keeps_owner_and_attempt(tmp_path: Path, garbage: bytes | None) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        before = {"one": set(one.host.acquired), "two": set(two.host.acquired)}
        owner, server = (one, "s0") if "s0" in before["one"] else (two, "s0")
        attempt = attempt_row(make_attempt(server=server))
        await owner.node.ownership.records.change(server, attempt=attempt)
        for number in range(40):
            for name in SERVERS:
                if garbage is None:
                    shared.delete(Dataset.SERVERS, name)
                else:
                    shared.overwrite(Dataset.SERVERS, name, garbage)
            await owner.node.ownership.records.change(server, paused=bool(number % 2))
            await asyncio.sleep(0.5)
            assert {"one": one.host.acquired, "two": two.host.acquired} == before
        await settled()
        stored = shared.get(Dataset.SERVERS, server)
        record = record_from(stored) if stored is not None else None
        assert record is not None
        assert (record.attempt, record.node) == (attempt, owner.node.membership.node)


@in_virtual_time
@pytest.mark.parametrize("garbage", [b"garbage", None])
async def test_damaged_record_of_dead_node_keeps_its_attempt(tmp_path: Path, garbage: bytes | None) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, "one", "two")
    async with running(one, two):
        server = next(iter(two.host.acquired))
        attempt = attempt_row(make_attempt(server=server))
        await two.node.ownership.records.change(server, attempt=attempt)
        await settled()
        await two.die()
        if garbage is None:
            shared.delete(Dataset.SERVERS, server)
        else:
            shared.overwrite(Dataset.SERVERS, server, garbage)
        await asyncio.sleep(2.5 * LEASE_S)
        assert server in one.host.acquired
        assert one.node.ownership.record(server).attempt == attempt


@in_virtual_time
async def test_close_acquires_nothing_that_others_free(tmp_path: Path) -> None:
    one, two = make_nodes(engine(), tmp_path, "one", "two")
    async with running(one, two):
        one.node.ownership.close()
        before = set(one.host.acquired)
        await two.leave()
        await settled()
        assert one.host.acquired == before


@in_virtual_time
async def test_set_servers_notifies_listeners_of_known_records(tmp_path: Path) -> None:
    shared = engine()
    for server in SERVERS:
        shared.put(Dataset.SERVERS, server, Record("session", "other").encoded(), 0)
    (one,) = make_nodes(shared, tmp_path, "one", servers=())
    async with running(one):
        notified: list[tuple[str, str | None]] = []
        one.node.ownership.add_listener(lambda name, record: notified.append((name, record.node)))
        await one.node.ownership.set_servers(SERVERS, one.host)
        assert sorted(notified) == sorted((server, "other") for server in SERVERS)


@in_virtual_time
async def test_release_while_cut_off_frees_the_record_later() -> None:
    shared = engine()
    store = shared.store("a")
    owned, record = OwnedRecords(store, lambda _: None), Record("session", "a")
    owned.add("s0", record, await store.put(Dataset.SERVERS, "s0", record.encoded(), 0))
    shared.down()
    await owned.release("s0")
    assert "s0" not in owned
    shared.up()
    await settled()
    stored = await store.get(Dataset.SERVERS, "s0")
    assert stored is not None
    assert record_from(stored) == Record()
