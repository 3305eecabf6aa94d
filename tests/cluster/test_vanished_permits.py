"""Permits that vanish from the ledger count as long as a node may use them."""

import asyncio
from contextlib import AbstractAsyncContextManager

import orjson
import pytest

from statemachine.cluster.holders import IDLE_S, LOOK_S
from statemachine.cluster.membership import RENEWALS
from statemachine.cluster.permits import LEDGER, SharedPermits
from statemachine.cluster.store import Dataset
from statemachine.cluster.vanished_permits import MOST_ANNOUNCED, RECORD_S, VanishedPermits
from tests.cluster.fake_store import FakeEngine
from tests.cluster.holders import FakeHolders
from tests.cluster.nodes import engine, settled
from tests.cluster.test_shared_permits import GARBAGE, Owns, held, permits
from tests.cluster.virtual import in_virtual_time


def vanished_permits(holders: FakeHolders) -> VanishedPermits:
    return VanishedPermits(engine().store("one"), holders, lambda: None)


def reviewed(vanished: VanishedPermits, seconds: float = LOOK_S) -> dict[str, str]:
    """Return the permits that count after reviews for some time."""
    for _ in range(int(seconds / LOOK_S)):
        vanished.review()
    return vanished.hosts()


@in_virtual_time
async def test_vanished_permit_counts_until_its_owner_has_run() -> None:
    holders = FakeHolders()
    holders.own("a", "two")
    holders.renew("two", 1)
    vanished = vanished_permits(holders)
    vanished.note({"a": "h"}, (), 1, 2)
    assert reviewed(vanished, 5 * IDLE_S) == {"a": "h"}
    holders.renew("two", 1 + RENEWALS)
    assert reviewed(vanished) == {}


@in_virtual_time
async def test_vanished_permit_with_a_prompt_counts_until_the_next_owner_has_run() -> None:
    holders = FakeHolders()
    holders.own("a", "two", in_flight=True)
    holders.renew("two", 1)
    vanished = vanished_permits(holders)
    vanished.note({"a": "h"}, (), 1, 2)
    assert reviewed(vanished, 5 * IDLE_S) == {"a": "h"}
    holders.renew("two", 1, over=True)
    assert reviewed(vanished, 0.9 * IDLE_S) == {"a": "h"}
    holders.renew("three", 7)
    holders.own("a", "three", in_flight=True)
    assert reviewed(vanished, 5 * IDLE_S) == {"a": "h"}
    holders.renew("three", 7 + RENEWALS)
    assert reviewed(vanished) == {}


@in_virtual_time
async def test_vanished_permit_without_owner_and_prompt_counts_for_a_moment() -> None:
    vanished = vanished_permits(FakeHolders())
    vanished.note({"a": "h"}, (), 1, 2)
    assert reviewed(vanished, RECORD_S) == {"a": "h"}
    assert reviewed(vanished) == {}


@in_virtual_time
async def test_vanished_permit_of_a_server_that_no_node_takes_ends() -> None:
    holders = FakeHolders()
    holders.own("a", "two", in_flight=True)
    vanished = vanished_permits(holders)
    vanished.note({"a": "h"}, (), 1, 2)
    assert reviewed(vanished, IDLE_S) == {"a": "h"}
    assert reviewed(vanished) == {}


@in_virtual_time
async def test_vanished_permit_with_a_prompt_counts_while_a_node_may_take_over() -> None:
    holders = FakeHolders()
    holders.own("a", "two", in_flight=True)
    holders.renew("frozen", 1)
    vanished = vanished_permits(holders)
    vanished.note({"a": "h"}, (), 1, 2)
    assert reviewed(vanished, 5 * IDLE_S) == {"a": "h"}
    holders.renew("frozen", 1, over=True)
    assert reviewed(vanished, IDLE_S) == {"a": "h"}
    assert reviewed(vanished, 2 * LOOK_S) == {}


@pytest.mark.parametrize("in_flight", [False, True])
@in_virtual_time
async def test_vanished_permit_counts_after_time_in_which_we_were_stopped(*, in_flight: bool) -> None:
    """What the other nodes have sent meanwhile may arrive after the first look."""
    holders = FakeHolders()
    holders.own("a", "two", in_flight=in_flight)
    vanished = vanished_permits(holders)
    vanished.note({"a": "h"}, (), 1, 2)
    assert reviewed(vanished) == {"a": "h"}
    await asyncio.sleep(5 * IDLE_S)
    assert reviewed(vanished) == {"a": "h"}


@in_virtual_time
async def test_vanished_permit_that_is_back_ends_with_its_release() -> None:
    vanished = vanished_permits(FakeHolders())
    vanished.note({"a": "h"}, (), 1, 2)
    vanished.note({}, ("a",), 2, 3)
    assert vanished.hosts() == {}
    vanished._receive(b'[4, ["a"]]')
    vanished.note({"a": "h"}, (), 3, 4)
    assert vanished.hosts() == {}


@in_virtual_time
async def test_announcement_counts_before_and_after_its_write_arrives() -> None:
    vanished = vanished_permits(FakeHolders())
    vanished._receive(b'[5, ["a"]]')
    vanished.note({"a": "h", "b": "h"}, (), 4, 5)
    assert vanished.hosts() == {"b": "h"}
    vanished._receive(b'[4, ["b"]]')
    assert vanished.hosts() == {"b": "h"}
    vanished._receive(b'[5, ["b"]]')
    assert vanished.hosts() == {}


@in_virtual_time
async def test_announcements_are_kept_up_to_a_limit() -> None:
    vanished = vanished_permits(FakeHolders())
    vanished._released([str(number) for number in range(2 * MOST_ANNOUNCED)], 9)
    assert len(vanished._announced) == MOST_ANNOUNCED
    vanished.note({}, (), 8, 9)
    assert not vanished._announced


# Over a store, with a node that is frozen


def waiting_node(shared: FakeEngine, holders: FakeHolders) -> AbstractAsyncContextManager[SharedPermits]:
    """Return the permits of a node whose budget of one is used by `frozen`, the frozen owner of `a`."""
    holders.own("a", "frozen")
    holders.renew("frozen", 1)
    shared.overwrite(Dataset.SHARED, LEDGER, orjson.dumps({"a": "h"}))
    return permits(shared, "us", ownership=Owns("b"), holders=holders)


@pytest.mark.parametrize("damage", [*GARBAGE, b"{}", b'{"c": "j"}', b'{"version": 99}', b'{"a": "h", "b": 1}'])
@in_virtual_time
async def test_permit_of_a_frozen_node_counts_until_its_lease_ends(damage: bytes) -> None:
    """It may submit when it continues; a garbled ledger keeps its permit, a valid one lacks it."""
    shared, holders = engine(), FakeHolders()
    async with waiting_node(shared, holders) as us:
        waiting = asyncio.ensure_future(us.acquire("b", "i"))
        await settled()
        shared.overwrite(Dataset.SHARED, LEDGER, damage)
        await asyncio.sleep(5 * IDLE_S)
        assert not waiting.done()
        holders.renew("frozen", 1, over=True)
        await asyncio.wait_for(waiting, 2 * IDLE_S)


@in_virtual_time
async def test_grant_that_garbage_has_hidden_counts_until_its_node_has_run() -> None:
    """A frozen node has been granted the only permit in a write that no other node has seen."""
    shared, holders = engine(), FakeHolders()
    holders.own("a", "frozen")
    holders.renew("frozen", 1)
    async with permits(shared, "us", ownership=Owns("b"), holders=holders) as us:
        await us.acquire("b", "i")
        us.release("b")
        await settled()
        shared.overwrite(Dataset.SHARED, LEDGER, b'{"a":"h"}')
        shared.overwrite(Dataset.SHARED, LEDGER, b"garbage")
        waiting = asyncio.ensure_future(us.acquire("b", "i"))
        await settled()
        assert not waiting.done()
        stored = shared.get(Dataset.SHARED, LEDGER)
        assert stored is not None
        assert stored.value == b"garbage"
        holders.renew("frozen", 1 + RENEWALS)
        await asyncio.wait_for(waiting, 5)


@in_virtual_time
async def test_permit_of_a_frozen_node_without_a_warm_up_counts_until_it_has_run() -> None:
    """The node was granted it and frozen before it recorded the warm-up."""
    shared, holders = engine(), FakeHolders()
    async with waiting_node(shared, holders) as us:
        waiting = asyncio.ensure_future(us.acquire("b", "i"))
        await asyncio.sleep(5 * IDLE_S)
        assert held(shared) == {"a": "h"}
        holders.renew("frozen", 1 + RENEWALS)
        await asyncio.sleep(0.9 * IDLE_S)
        assert not waiting.done()
        await asyncio.wait_for(waiting, IDLE_S)
        assert held(shared) == {"b": "i"}


@in_virtual_time
async def test_vanished_permit_of_a_server_that_is_ours_now_is_acquired_at_once() -> None:
    shared, holders, ownership = engine(), FakeHolders(), Owns("b")
    holders.own("a", "dead")
    holders.renew("dead", 1)
    shared.overwrite(Dataset.SHARED, LEDGER, orjson.dumps({"a": "h"}))
    async with permits(shared, "us", ownership=ownership, holders=holders) as us:
        shared.overwrite(Dataset.SHARED, LEDGER, b"{}")
        await settled()
        holders.renew("dead", 1, over=True)
        holders.own("a", "us")
        holders.renew("us", 1)
        ownership._servers = ("a", "b")
        await asyncio.wait_for(us.acquire("a", "h"), 0.5 * LOOK_S)


@in_virtual_time
async def test_vanished_permit_of_a_prompt_that_is_ours_now_counts_until_taken() -> None:
    """A server is ours a moment before its prompt is restored."""
    shared, holders, ownership = engine(), FakeHolders(), Owns("b")
    holders.own("a", "dead", in_flight=True)
    holders.renew("dead", 1)
    shared.overwrite(Dataset.SHARED, LEDGER, orjson.dumps({"a": "h"}))
    async with permits(shared, "us", ownership=ownership, holders=holders) as us:
        shared.overwrite(Dataset.SHARED, LEDGER, b"{}")
        await settled()
        holders.own("a", "us", in_flight=True)
        holders.renew("us", 1)
        ownership._servers = ("a", "b")
        waiting = asyncio.ensure_future(us.acquire("b", "i"))
        await asyncio.sleep(2 * LOOK_S)
        assert not waiting.done()
        us.take("a", "h")
        await settled()
        us.release("a")
        await asyncio.wait_for(waiting, LOOK_S)
