"""The lease of a node: renewals, its end, new sessions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from statemachine.cluster.membership import LOOK_S, MARGIN, RENEWALS, Identity, Membership
from statemachine.cluster.records import Lease, lease_from
from statemachine.cluster.store import Dataset
from tests.cluster.fake_store import FakeEngine
from tests.cluster.following import until
from tests.cluster.nodes import LEASE_S, engine, loop_time, new_id, settled
from tests.cluster.virtual import in_virtual_time


class Clock:
    """A clock with an offset, which a test can raise as if the process had been stopped."""

    def __init__(self, at: float = 0.0) -> None:
        self.ahead_s = at

    def __call__(self) -> float:
        return loop_time() + self.ahead_s


@asynccontextmanager
async def member(shared: FakeEngine, name: str, clock: Clock | None = None) -> AsyncIterator[Membership]:
    made = Membership(shared.store(name, 1.0), Identity(name, LEASE_S, clock or Clock(), new_id), lambda: None)
    running = asyncio.ensure_future(made.run())
    await settled()
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def lease_of(shared: FakeEngine, name: str) -> Lease:
    stored = shared.get(Dataset.NODES, name)
    assert stored is not None
    lease = lease_from(stored)
    assert lease is not None
    return lease


@in_virtual_time
async def test_lease_living_node_is_renewed_in_one_session() -> None:
    shared = engine()
    async with member(shared, "one") as one:
        session = one.session
        for _ in range(1000):
            await asyncio.sleep(0.1)
            assert one.holds_lease
        assert one.session == session
        beats = lease_of(shared, "one").beat
        assert beats - 1 <= RENEWALS * (loop_time() / LEASE_S) <= beats + 2


@in_virtual_time
async def test_lease_node_cut_off_ends_by_a_margin_before_others_end_it() -> None:
    shared = engine()
    async with member(shared, "one") as one, member(shared, "two") as two:
        shared.cut("one")
        cut_at = loop_time()
        await until(lambda: not one.holds_lease)
        assert not lease_of(shared, "one").over
        assert loop_time() - cut_at <= LEASE_S * (1 - MARGIN)
        silent_at = loop_time()
        await until(lambda: two.members() == ["two"])
        assert await two.leases.has_ended("one", one.session)
        assert loop_time() - silent_at >= LEASE_S * MARGIN
        assert loop_time() - cut_at <= LEASE_S * (1 + 2 / RENEWALS)


@in_virtual_time
async def test_lease_counts_from_before_the_renewal_was_sent() -> None:
    """Other nodes may see a renewal up to a round trip before its answer arrives here."""
    shared, one_way_s = engine(), 0.2
    shared.latency = lambda: one_way_s
    async with member(shared, "a") as a:
        await until(lambda: a.holds_lease)
        answered = loop_time()
        shared.cut("a")
        await until(lambda: not a.holds_lease)
        assert loop_time() - answered <= LEASE_S * (1 - MARGIN) - 2 * one_way_s + 0.05


@in_virtual_time
async def test_session_ended_by_others_is_replaced() -> None:
    shared = engine()
    async with member(shared, "one") as one, member(shared, "two") as two:
        before = one.session
        shared.cut("one")
        await asyncio.sleep(2 * LEASE_S)
        assert one.session == before
        shared.heal("one")
        await settled()
        await settled()
        assert one.session != before
        assert one.holds_lease
        assert await two.leases.has_ended("one", before)
        assert not await two.leases.has_ended("one", one.session)
        assert sorted(two.members()) == sorted(one.members()) == ["one", "two"]


@in_virtual_time
async def test_session_cut_off_for_less_than_the_lease_continues() -> None:
    shared = engine()
    async with member(shared, "one") as one, member(shared, "two"):
        before = one.session
        for _ in range(5):
            shared.cut("one")
            await asyncio.sleep(LEASE_S * 0.4)
            shared.heal("one")
            await settled()
            await settled()
        assert one.session == before
        assert one.holds_lease


@in_virtual_time
async def test_session_renewals_in_doubt_continues() -> None:
    shared = engine()
    shared.in_doubt = lambda: True
    async with member(shared, "one") as one:
        before = one.session
        shared.cut("one")
        await asyncio.sleep(30)
        shared.heal("one")
        await settled()
        await settled()
        assert one.holds_lease
        assert one.session == before


@in_virtual_time
async def test_members_clocks_far_apart_see_each_other() -> None:
    shared = engine()
    async with member(shared, "one", Clock(-1e6)) as one, member(shared, "two", Clock(1e9)) as two:
        await asyncio.sleep(10 * LEASE_S)
        assert one.holds_lease
        assert two.holds_lease
        assert sorted(one.members()) == sorted(two.members()) == ["one", "two"]


@in_virtual_time
async def test_lease_after_suspend_is_lost_and_ends_no_other() -> None:
    """A stopped process saw no renewals, which says nothing about the other nodes."""
    shared, clock = engine(), Clock()
    async with member(shared, "one") as one, member(shared, "two", clock) as two:
        before = one.session
        clock.ahead_s += 5 * LEASE_S
        assert not two.holds_lease
        await asyncio.sleep(5 * LEASE_S)
        assert one.session == before
        assert one.holds_lease
        assert two.holds_lease


@in_virtual_time
async def test_restart_after_crash_waits_for_the_old_lease() -> None:
    shared = engine()
    async with member(shared, "one") as before:
        pass
    begun = loop_time()
    async with member(shared, "one") as again:
        await until(lambda: again.holds_lease)
        assert LEASE_S <= loop_time() - begun <= LEASE_S * (1 + 2 / RENEWALS)
        assert await again.leases.has_ended("one", before.session)


@in_virtual_time
async def test_restart_after_leave_starts_at_once() -> None:
    shared = engine()
    async with member(shared, "one") as before:
        await before.leave()
    async with member(shared, "one") as again:
        assert again.holds_lease


@in_virtual_time
async def test_second_node_of_the_same_name_never_holds_a_lease() -> None:
    shared = engine()
    async with member(shared, "one") as first, member(shared, "one") as second:
        await asyncio.sleep(10 * LEASE_S)
        assert first.holds_lease
        assert not second.holds_lease


@in_virtual_time
async def test_node_that_lists_other_servers_is_a_member() -> None:
    shared = engine()
    async with member(shared, "one") as one, member(shared, "two") as two:
        two.set_fleet("others")
        await settled()
        assert sorted(one.members()) == ["one", "two"]


@in_virtual_time
async def test_passed_over_after_a_renewal_without_pending_servers() -> None:
    shared = engine()
    async with member(shared, "one") as one, member(shared, "two") as two:
        two.set_pending(3)
        await asyncio.sleep(LEASE_S / RENEWALS + 0.5)
        since = loop_time()
        two.set_pending(0)
        assert not one.has_passed_over("two", since)
        await asyncio.sleep(2 * LEASE_S / RENEWALS + LOOK_S)
        assert one.has_passed_over("two", since)
        two.set_pending(1)
        await asyncio.sleep(LEASE_S / RENEWALS + 0.5)
        assert not one.has_passed_over("two", since)
        await two.leave()
        await settled()
        assert one.has_passed_over("two", loop_time())


@in_virtual_time
async def test_older_node_with_the_same_servers_is_silent() -> None:
    """A node of a version that claims nothing takes its share as soon as it is free."""
    shared = engine()
    async with member(shared, "one") as one:
        one.set_fleet("f")
        for name, fleet in (("old", "f"), ("older", "g")):
            shared.put(Dataset.NODES, name, Lease(name, "s", fleet).encoded(), 0)
        await settled()
        assert one.silent_members() == {"old"}
        assert not one.has_passed_over("old", 0.0)
        assert one.has_passed_over("older", 0.0)


@in_virtual_time
async def test_fleet_set_during_a_renewal_is_published() -> None:
    shared = engine()
    shared.latency = lambda: 0.1
    async with member(shared, "one") as one:
        await until(one._renewing.locked)
        one.set_fleet("fleet")
        await asyncio.sleep(LEASE_S)
        assert lease_of(shared, "one").fleet == "fleet"


@in_virtual_time
async def test_has_ended_unknown_session_is_true() -> None:
    shared = engine()
    async with member(shared, "one") as one:
        assert await one.leases.has_ended("one", "another session")


@in_virtual_time
async def test_has_ended_session_without_lease_is_true_after_a_lease() -> None:
    """The lease may have been deleted; a living node writes it again."""
    shared = engine()
    async with member(shared, "one") as one:
        assert not await one.leases.has_ended("unknown", "s")
        await asyncio.sleep(0.9 * LEASE_S)
        assert not await one.leases.has_ended("unknown", "s")
        await asyncio.sleep(0.2 * LEASE_S)
        assert await one.leases.has_ended("unknown", "s")


@in_virtual_time
async def test_leave_during_a_renewal_still_ends_the_lease() -> None:
    shared = engine()
    shared.latency = lambda: 0.1
    async with member(shared, "one") as one, member(shared, "two") as two:
        await until(one._renewing.locked)
        await one.leave()
        await until(lambda: two.members() == ["two"])
        await settled()
        assert two.members() == ["two"]


GARBAGE = (
    b"",
    b"garbage",
    b"[]",
    b"{}",
    b"[" * 50_000,
    Lease("three", "s").encoded(),
    Lease("one", "s").encoded()[:-1],
)


@in_virtual_time
@pytest.mark.parametrize("garbage", [*GARBAGE, None], ids=[*map(str, range(len(GARBAGE))), "deleted"])
async def test_lease_that_others_damage_is_written_again(garbage: bytes | None) -> None:
    shared = engine()
    async with member(shared, "one") as one, member(shared, "two") as two:
        session = one.session
        for _ in range(100):
            damage(shared, "one", garbage)
            for _ in range(4):
                await asyncio.sleep(0.1)
                assert one.holds_lease
                assert not await two.leases.has_ended("one", session)
                assert sorted(two.members()) == ["one", "two"]
        assert one.session == session
        await settled()
        assert lease_of(shared, "one").session == session


@in_virtual_time
@pytest.mark.parametrize("garbage", [b"garbage", None])
async def test_damaged_lease_of_dead_node_ends_after_a_lease(garbage: bytes | None) -> None:
    shared = engine()
    async with member(shared, "two") as two:
        async with member(shared, "one") as one:
            session = one.session
        damage(shared, "one", garbage)
        await asyncio.sleep(0.7 * LEASE_S)
        assert not await two.leases.has_ended("one", session)
        await asyncio.sleep(1.5 * LEASE_S)
        assert await two.leases.has_ended("one", session)
        assert two.members() == ["two"]


@in_virtual_time
async def test_damaged_lease_does_not_hide_that_it_has_ended() -> None:
    """A node that was cut off for too long begins a new session, though it cannot read that its lease was ended."""
    shared = engine()
    async with member(shared, "one") as one, member(shared, "two") as two:
        session = one.session
        shared.cut("one")
        await until(lambda: two.members() == ["two"])
        damage(shared, "one", b"garbage")
        shared.heal("one")
        await asyncio.sleep(2 * LEASE_S)
        assert one.session != session
        assert one.holds_lease
        assert await two.leases.has_ended("one", session)


def damage(shared: FakeEngine, node: str, garbage: bytes | None) -> None:
    """Overwrite a lease, or delete it."""
    if garbage is None:
        shared.delete(Dataset.NODES, node)
    else:
        shared.overwrite(Dataset.NODES, node, garbage)
