"""Nodes that list different servers, as while their sources differ: shares, claims, and who sends alerts."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from statemachine.cluster.membership import RENEWALS, node_for
from statemachine.cluster.records import Lease
from statemachine.cluster.share import MOST, SUBJECT, Claims, Share
from statemachine.cluster.store import Dataset
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import LEASE_S, Node, engine, running, settled
from tests.cluster.virtual import in_virtual_time

NAMES = ("one", "two", "three")
SERVERS = tuple(f"s{number}" for number in range(30))
ADOPTED_S = 2 * LEASE_S / RENEWALS + 4.0
"""Longer than it takes to adopt a server that the nodes before this one do not list."""


def make_nodes(
    shared: FakeEngine, folder: Path, servers: Sequence[str] = SERVERS, names: Sequence[str] = NAMES
) -> list[Node]:
    return [Node(shared, name, folder, servers) for name in names]


def belonging_to(node: str) -> list[str]:
    return [server for server in SERVERS if node_for(server, NAMES) == node]


async def list_servers(node: Node, servers: Sequence[str]) -> None:
    """Change the servers of a node, as a source does; its fleet has released the others."""
    await node.host.release([name for name in node.host.acquired if name not in servers])
    await node.node.ownership.set_servers(servers, node.host)


def calls_since(nodes: Sequence[Node], act: str) -> list[str]:
    return [server for node in nodes for what, server in node.host.calls if what == act]


@in_virtual_time
async def test_one_node_sends_alerts_while_lists_differ(tmp_path: Path) -> None:
    nodes = make_nodes(engine(), tmp_path)
    async with running(*nodes):
        for number in range(20):
            await list_servers(nodes[number % 3], SERVERS[: 25 + number % 5])
            await asyncio.sleep(0.3)
            assert sum(node.node.is_alert_leader for node in nodes) == 1
            assert sum(node.node.rollouts.may_run for node in nodes) == 1


@in_virtual_time
async def test_new_servers_are_listed_one_after_the_other_and_move_once(tmp_path: Path) -> None:
    """The nodes poll their source at different times; within a second here."""
    nodes = make_nodes(engine(), tmp_path, SERVERS[:10])
    async with running(*nodes):
        for node in nodes:
            await list_servers(node, SERVERS)
            await asyncio.sleep(0.4)
        await asyncio.sleep(ADOPTED_S)
        for node in nodes:
            assert node.host.acquired == set(belonging_to(node.name))
        assert calls_since(nodes, "release") == [], "each went to the node that it belongs to, at once"


@in_virtual_time
async def test_joining_node_that_lists_fewer_servers_gets_those(tmp_path: Path) -> None:
    one, two = make_nodes(engine(), tmp_path, names=NAMES[:2])
    two.servers = SERVERS[::2]
    async with running(one), running(two):
        await asyncio.sleep(ADOPTED_S)
        share = {server for server in two.servers if node_for(server, ("one", "two")) == "two"}
        assert two.host.acquired == share
        assert one.host.acquired == set(SERVERS) - share
        assert set(calls_since([one], "release")) == share


@in_virtual_time
async def test_node_that_joins_after_a_purge_leaves_each_server_one_owner(tmp_path: Path) -> None:
    """Nothing tells the owners that their records were removed, and to the new node the servers look free."""
    shared = engine()
    one, two, three = nodes = make_nodes(shared, tmp_path)
    async with running(one, two):
        shared.purge(Dataset.SERVERS)
        async with running(three):
            await asyncio.sleep(4 * LEASE_S)
            assert [node.host.acquired for node in nodes] == [set(belonging_to(node.name)) for node in nodes]


@in_virtual_time
async def test_server_that_its_node_does_not_list_is_adopted(tmp_path: Path) -> None:
    one, two, three = nodes = make_nodes(engine(), tmp_path)
    theirs = belonging_to("two")
    async with running(*nodes):
        await list_servers(two, [name for name in SERVERS if name not in theirs])
        await asyncio.sleep(ADOPTED_S)
        assert one.host.acquired | three.host.acquired == set(SERVERS)
        assert not one.host.acquired & three.host.acquired
        for node in nodes:
            node.host.calls.clear()
        await asyncio.sleep(10 * LEASE_S)
        assert calls_since(nodes, "release") == calls_since(nodes, "acquire") == []


@in_virtual_time
@pytest.mark.parametrize("only", NAMES)
async def test_server_that_one_node_lists_is_acquired_by_it(tmp_path: Path, only: str) -> None:
    nodes = make_nodes(engine(), tmp_path, ())
    async with running(*nodes):
        (node,) = (one for one in nodes if one.name == only)
        await list_servers(node, SERVERS)
        await asyncio.sleep(ADOPTED_S)
        assert node.host.acquired == set(SERVERS)


@in_virtual_time
async def test_adopted_servers_go_to_their_node_once_it_lists_them(tmp_path: Path) -> None:
    one, two, three = nodes = make_nodes(engine(), tmp_path)
    two.servers = ()
    busy = belonging_to("two")[0]
    async with running(*nodes):
        await asyncio.sleep(ADOPTED_S)
        assert one.host.acquired | three.host.acquired == set(SERVERS)
        for node in nodes:
            node.host.in_flight.add(busy)
        await list_servers(two, SERVERS)
        await asyncio.sleep(ADOPTED_S)
        assert two.host.acquired == set(belonging_to("two")) - {busy}
        for node in nodes:
            node.host.in_flight.clear()
        await settled()
        assert two.host.acquired == set(belonging_to("two"))


@in_virtual_time
async def test_pause_stays_when_the_owner_no_longer_lists_the_server(tmp_path: Path) -> None:
    one, two, three = nodes = make_nodes(engine(), tmp_path)
    paused = belonging_to("two")[0]
    async with running(*nodes):
        await two.node.ownership.records.change(paused, paused=True)
        await list_servers(two, [name for name in SERVERS if name != paused])
        await asyncio.sleep(ADOPTED_S)
        (owner,) = (node for node in (one, three) if paused in node.host.acquired)
        assert (await owner.node.journal.saved_states([paused]))[paused].paused


@in_virtual_time
async def test_claims_are_lost_and_the_servers_move_anyway(tmp_path: Path) -> None:
    shared = engine()
    one, two = make_nodes(shared, tmp_path, names=NAMES[:2])
    async with running(one):
        publish, lost = two.store.publish, 0

        def lossy(subject: str, value: bytes) -> None:
            nonlocal lost
            lost += 1
            if subject != SUBJECT or lost % 3 == 0:
                publish(subject, value)

        two.store.publish = lossy  # type: ignore[method-assign]
        async with running(two):
            await asyncio.sleep(ADOPTED_S)
            assert two.host.acquired == {server for server in SERVERS if node_for(server, ("one", "two")) == "two"}


@in_virtual_time
async def test_claim_that_is_not_due_moves_nothing(tmp_path: Path) -> None:
    one, two, three = nodes = make_nodes(engine(), tmp_path)
    async with running(*nodes):
        for node in nodes:
            node.host.calls.clear()
        membership = three.node.membership
        for claim in (
            [membership.node, membership.session, [*one.host.acquired, *two.host.acquired]],
            ["two", "an earlier session", list(one.host.acquired)],
            ["two", two.node.membership.session, [None, 7]],
            ["two"],
            {"node": "two"},
        ):
            three.store.publish(SUBJECT, bytes(repr(claim).replace("'", '"').replace("None", "null"), "utf-8"))
        await settled()
        assert calls_since(nodes, "release") == []


@in_virtual_time
async def test_older_node_gets_its_share_without_claims(tmp_path: Path) -> None:
    """Its lease has no `pending`, and it compares the names that nodes list."""
    shared = engine()
    (one,) = make_nodes(shared, tmp_path, names=NAMES[:1])
    async with running(one):
        fleet = one.node.membership._lease.fleet
        shared.put(Dataset.NODES, "old", Lease("old", "s", fleet).encoded(), 0)
        await settled()
        assert set(SERVERS) - one.host.acquired == {name for name in SERVERS if node_for(name, ("one", "old")) == "old"}
        await asyncio.sleep(0.5 * LEASE_S)
        assert len(one.host.acquired) < len(SERVERS)
        await asyncio.sleep(2 * LEASE_S)
        assert one.host.acquired == set(SERVERS), "it has never renewed its lease"


@in_virtual_time
async def test_claims_of_a_large_share_go_round_it(tmp_path: Path) -> None:
    (one,) = make_nodes(engine(), tmp_path, names=NAMES[:1])
    sent: list[bytes] = []

    def keep(subject: str, value: bytes) -> None:
        assert subject == SUBJECT
        sent.append(value)

    one.store.publish = keep  # type: ignore[method-assign]
    claims = Claims(one.store, one.node.membership, lambda _: True)
    names = [str(number) for number in range(2 * MOST + 1)]
    for _ in range(4):
        claims.send(names)
    one.file.close()
    assert [value.count(b",") - 1 for value in sent] == [MOST, MOST, 1, MOST]


def test_share_computes_only_new_servers_again() -> None:
    share = Share("one")
    assert share.update(["one", "two"], SERVERS[:20])
    assert not share.update(["one", "two"], SERVERS)
    assert list(share.assigned) == [name for name in SERVERS if node_for(name, ["one", "two"]) == "one"]
    assert share.update(["one"], SERVERS)
    assert list(share.assigned) == list(SERVERS)
