"""What a node shows of the servers that other nodes own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from statemachine.cluster.bus import LIVE
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.publish.snapshot import CheckDetail, LinkDetail, ServerDetail
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import LEASE_S, Node, engine, make_view, running, settled
from tests.cluster.virtual import in_virtual_time


@asynccontextmanager
async def two(shared: FakeEngine, folder: Path) -> AsyncIterator[tuple[Node, Node]]:
    """Run two nodes: the first owns `a` and `b`, the second only shows them."""
    one, other = Node(shared, "one", folder), Node(shared, "two", folder)
    other.servers = ("c",)
    async with running(one, other):
        yield one, other


def state_at(node: Node, server: str = "a") -> State:
    view = node.snapshot.get(server)
    assert view is not None
    return view.state


def publish_live(node: Node, state: State, since: float, **others: object) -> None:
    view = make_view("a", state, since, **others)
    node.snapshot.put(view)
    node.node.bus.publish_live("a", lambda: view)


@in_virtual_time
async def test_publish_live_many_updates_are_sent_together(tmp_path: Path) -> None:
    shared = engine()
    async with two(shared, tmp_path) as (one, other):
        messages: list[bytes] = []
        await other.store.subscribe(LIVE, messages.append)
        for number in range(100):
            publish_live(one, State.WARMING, 1.0, progress=number / 100)
        await settled()
        assert len(messages) == 1
        view = other.snapshot.get("a")
        assert view is not None
        assert view.progress == 0.99


@in_virtual_time
async def test_publish_live_sends_the_details(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other):
        detail = ServerDetail(LinkDetail(True, 1.0, 2), CheckDetail("text", 3.0, 4.0, "raw \ud83d"), {"version": 2**70})
        one.snapshot.attach("a", detail)
        publish_live(one, State.LOADED, 1.0)
        await settled()
        known = other.snapshot.detail("a")
        assert (known.link, known.check.raw) == (detail.link, "raw ?")
        publish_live(one, State.COLD, 2.0)
        await settled()
        assert state_at(other) is State.COLD


@in_virtual_time
async def test_publish_live_large_details_are_sent_in_parts(tmp_path: Path) -> None:
    shared = engine()
    servers = tuple(f"s{number}" for number in range(200))
    one, other = Node(shared, "one", tmp_path, servers), Node(shared, "two", tmp_path, servers)
    other.servers = ("c",)
    async with running(one, other):
        sizes: list[int] = []
        await other.store.subscribe(LIVE, lambda value: sizes.append(len(value)))
        for name in servers:
            one.snapshot.attach(name, ServerDetail(check=CheckDetail(raw="显" * 6_000)))
            view = make_view(name)
            one.node.bus.publish_live(name, lambda view=view: view)  # type: ignore[misc]
        await settled()
        assert max(sizes) < 1_000_000
        assert len(other.snapshot.detail(servers[-1]).check.raw or "") == 6_000


@in_virtual_time
async def test_accepts_only_the_owner_and_nothing_older(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other):
        publish_live(one, State.LOADED, 5.0)
        await settled()
        assert not other.node.bus.accepts("another session", make_view("a", State.COLD, 9.0))
        assert not one.node.bus.accepts(other.node.membership.session, make_view("a", State.COLD, 9.0))
        assert not other.node.bus.accepts(one.node.membership.session, make_view("not in the fleet"))
        assert not other.node.bus.accepts(one.node.membership.session, make_view("a", State.COLD, 4.0)), (
            "older than what is shown"
        )
        assert other.node.bus.accepts(one.node.membership.session, make_view("a", State.COLD, 6.0))


@in_virtual_time
async def test_receive_unreadable_message_is_ignored(tmp_path: Path) -> None:
    async with two(engine(), tmp_path) as (one, other):
        session = one.node.membership.session
        for garbage in (b"", b"7", b"[1]", b"{}", orjson.dumps([session, [[[1], {}]]]), orjson.dumps([session, [1]])):
            one.store.publish(LIVE, garbage)
        publish_live(one, State.LOADED, 5.0)
        await settled()
        assert state_at(other) is State.LOADED


@in_virtual_time
async def test_cut_off_node_shows_others_unknown_until_it_is_back(tmp_path: Path) -> None:
    shared = engine()
    async with two(shared, tmp_path) as (one, other):
        one.node.journal.append(None, None, make_view("a", State.LOADED, 5.0))
        await settled()
        assert state_at(other) is State.LOADED
        shared.cut("two")
        await asyncio.sleep(LEASE_S)
        view = other.snapshot.get("a")
        assert view is not None
        assert (view.state, view.reason) == (State.UNKNOWN, Reason.NODE_CUT_OFF)
        assert Notice.NODE_CUT_OFF in other.notices
        shared.heal("two")
        await asyncio.sleep(LEASE_S)
        assert state_at(other) is State.LOADED
        assert Notice.NODE_BACK in other.notices


@in_virtual_time
async def test_former_owner_shows_the_state_of_the_new_owner(tmp_path: Path) -> None:
    shared = engine()
    one, other = Node(shared, "one", tmp_path), Node(shared, "two", tmp_path)
    async with running(one, other):
        lost = min(one.host.acquired)
        one.snapshot.put(make_view(lost, State.LOADED, 5.0))
        shared.cut("one")
        await asyncio.sleep(3 * LEASE_S)
        assert lost in other.host.acquired
        other.node.journal.append(None, None, make_view(lost, State.COLD, 4.0))
        other.host.in_flight.add(lost)
        await settled()
        shared.heal("one")
        await asyncio.sleep(LEASE_S)
        assert lost not in one.host.acquired
        assert state_at(one, lost) is State.COLD


@in_virtual_time
async def test_subscribe_cut_off_at_start_works_once_connected(tmp_path: Path) -> None:
    shared = engine()
    one, other = Node(shared, "one", tmp_path), Node(shared, "two", tmp_path)
    other.servers = ("c",)
    shared.cut("two")
    async with running(one, other):
        shared.heal("two")
        await settled()
        await settled()
        publish_live(one, State.LOADED, 5.0)
        await settled()
        assert state_at(other) is State.LOADED
        assert len(other.store.subscribers[LIVE]) == 1


@in_virtual_time
async def test_node_forgets_the_senders_of_removed_servers(tmp_path: Path) -> None:
    one = Node(engine(), "one", tmp_path, ("a", "b"))
    async with running(one):
        one.node.bus._sender = {"a": "session", "b": "session", "left": "session"}
        one.snapshot.set_order(["a"])
        await settled()
        assert one.node.bus._sender == {"a": "session"}
