"""Servers change hands: nodes come, go, die, are cut off, stand still; and no server is ever in two pairs of hands."""

import asyncio
from pathlib import Path
from random import Random

from statemachine.cluster.records import record_from
from statemachine.cluster.rendezvous import chosen
from statemachine.cluster.store import Dataset
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import LEASE_S, Node, engine, running, settled
from tests.cluster.virtual import in_virtual_time

SERVERS = tuple(f"s{number}" for number in range(30))


def made(shared: FakeEngine, folder: Path, *names: str, servers: tuple[str, ...] = SERVERS) -> list[Node]:
    return [Node(shared, name, folder, servers) for name in names]


def share_of(name: str, *nodes: str) -> set[str]:
    return {server for server in SERVERS if chosen(server, nodes) == name}


@in_virtual_time
async def test_a_node_that_leaves_leaves_its_servers_at_once(tmp_path: Path) -> None:
    one, two = made(engine(), tmp_path, "one", "two")
    async with running(one, two):
        await two.hands.release(list(two.hands.up))
        await two.leave()
        await asyncio.sleep(1.0)
        assert one.hands.up == set(SERVERS)


@in_virtual_time
async def test_who_leaves_takes_up_nothing_any_more(tmp_path: Path) -> None:
    shared, chance = engine(), Random(1)
    (one,) = made(shared, tmp_path, "one")
    async with running(one):
        one.hands.happened.clear()
        shared.latency = lambda: chance.random() * 0.4
        leaving = asyncio.ensure_future(one.node.leave())
        await settled()
        await leaving
        assert one.hands.happened == []
        assert not one.node.ownership.owns("s0")


@in_virtual_time
async def test_a_node_that_dies_keeps_its_servers_for_its_lease_and_no_longer(tmp_path: Path) -> None:
    one, two = made(engine(), tmp_path, "one", "two")
    async with running(one, two):
        before = set(one.hands.up)
        await two.die()
        await asyncio.sleep(LEASE_S * 0.8)
        assert one.hands.up == before
        await asyncio.sleep(LEASE_S)
        assert one.hands.up == set(SERVERS)


@in_virtual_time
async def test_who_is_cut_off_submits_nothing_before_others_may(tmp_path: Path) -> None:
    shared = engine()
    one, two = made(shared, tmp_path, "one", "two")
    async with running(one, two):
        theirs = next(iter(two.hands.up))
        shared.cut("two")
        while not one.node.ownership.may_submit(theirs):
            await asyncio.sleep(0.01)
            assert not (one.node.ownership.may_submit(theirs) and two.node.ownership.may_submit(theirs))
        assert not two.node.ownership.may_submit(theirs)
        shared.heal("two")
        await settled()
        await settled()
        assert one.hands.up | two.hands.up == set(SERVERS)
        assert not one.hands.up & two.hands.up


@in_virtual_time
async def test_who_stood_still_may_not_submit_when_it_goes_on(tmp_path: Path) -> None:
    """The clock goes on though nothing of the node's has run."""
    one, *_ = made(engine(), tmp_path, "one")
    stopped_s = 0.0
    steady = one.node.membership._steady
    one.node.membership._steady = lambda: steady() + stopped_s
    async with running(one):
        assert one.node.ownership.may_submit("s0")
        stopped_s = LEASE_S * 0.81
        assert not one.node.ownership.may_submit("s0")
        assert one.node.ownership.owns("s0")
        await settled()
        assert one.node.ownership.may_submit("s0"), "nobody has ended its lease"


@in_virtual_time
async def test_a_node_that_joins_is_given_its_share_and_nothing_else_moves(tmp_path: Path) -> None:
    shared = engine()
    one, two, three = made(shared, tmp_path, "one", "two", "three")
    async with running(one, two):
        one.hands.happened.clear()
        two.hands.happened.clear()
        async with running(three):
            await settled()
            its = share_of("three", "one", "two", "three")
            assert three.hands.up == its
            assert {server for _, what, server in one.hands.happened + two.hands.happened} == its


@in_virtual_time
async def test_a_server_is_laid_down_before_it_is_given_up(tmp_path: Path) -> None:
    shared = engine()
    one, two = made(shared, tmp_path, "one", "two")
    owners: list[str | None] = []

    def note_owner(server: str) -> None:
        kept = shared.get(Dataset.SERVERS, server)
        owners.append(record_from(kept.value).node if kept else None)

    async with running(one):
        one.hands.on_lay_down = note_owner
        async with running(two):
            await settled()
            assert owners == ["one"] * len(two.hands.up)


@in_virtual_time
async def test_what_is_in_flight_stays_until_it_has_ended(tmp_path: Path) -> None:
    shared = engine()
    one, two = made(shared, tmp_path, "one", "two")
    its = share_of("two", "one", "two")
    flying = min(its)
    async with running(one):
        one.hands.in_flight.add(flying)
        async with running(two):
            await asyncio.sleep(60)
            assert two.hands.up == its - {flying}
            assert one.node.ownership.may_submit(flying)
            one.hands.in_flight.clear()
            await settled()
            assert two.hands.up == its


@in_virtual_time
async def test_what_could_not_be_given_up_in_time_is_given_up_later(tmp_path: Path) -> None:
    """The write that frees a server is lost: its node lives on, so nobody else may ever take it."""
    shared = engine()
    one, two = made(shared, tmp_path, "one", "two")
    async with running(one):
        first = asyncio.Event()
        one.hands.on_lay_down = lambda _: first.set()
        await two.start()
        await first.wait()
        shared.cut("one")
        await asyncio.sleep(4.0)
        shared.heal("one")
        for _ in range(10):
            await settled()
        await two.close()
        assert one.hands.up | two.hands.up == set(SERVERS)
        assert not one.hands.up & two.hands.up


@in_virtual_time
async def test_a_write_in_doubt_leaves_no_server_alone(tmp_path: Path) -> None:
    shared = engine()
    shared.in_doubt = lambda: True
    one, two = made(shared, tmp_path, "one", "two")
    async with running(one, two):
        for pause_s in (0.5, 3.0, 9.0, 15.0, 40.0):
            shared.cut("one")
            await asyncio.sleep(pause_s)
            shared.heal("one")
            await asyncio.sleep(2 * LEASE_S)
            assert one.hands.up | two.hands.up == set(SERVERS)
            assert not one.hands.up & two.hands.up


@in_virtual_time
async def test_many_servers_that_leave_the_fleet_while_the_store_is_away_do_not_hold_up_a_reload(
    tmp_path: Path,
) -> None:
    shared = engine()
    (one,) = made(shared, tmp_path, "one")
    async with running(one):
        shared.cut("one")
        async with asyncio.timeout(3):
            await one.hands.release(SERVERS[1:])
            await one.node.ownership.set_servers(SERVERS[:1], one.hands)


@in_virtual_time
async def test_a_fault_of_the_hands_leaves_no_server_without_care(tmp_path: Path) -> None:
    (one,) = made(engine(), tmp_path, "one")
    acquire, faults = one.hands.acquire, 2

    async def fail_at_first(servers: object) -> None:
        nonlocal faults
        faults -= 1
        if faults >= 0:
            raise RuntimeError("a fault of the fleet's")
        await acquire(servers)  # type: ignore[arg-type]

    one.hands.acquire = fail_at_first  # type: ignore[method-assign]
    async with running(one):
        await settled()
        assert one.hands.up == set(SERVERS)


@in_virtual_time
async def test_garbage_in_the_store_stops_nobody(tmp_path: Path) -> None:
    shared = engine()
    shared.put(Dataset.SERVERS, "s0", b"garbage", 0)
    shared.put(Dataset.NODES, "two", b"[]", 0)
    one, two = made(shared, tmp_path, "one", "two")
    async with running(one, two):
        assert one.hands.up | two.hands.up == set(SERVERS)
