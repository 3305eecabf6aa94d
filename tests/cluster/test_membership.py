"""A node's lease: renewed in time, ended by others in theirs, and never two sessions that both hold it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from statemachine.cluster.membership import MARGIN, RENEWALS, Identity, Membership
from statemachine.cluster.records import Lease, lease_from
from statemachine.cluster.store import Dataset
from tests.cluster.fake_store import FakeEngine
from tests.cluster.following import until
from tests.cluster.nodes import LEASE_S, engine, loop_time, new_id, settled
from tests.cluster.virtual import in_virtual_time


class Clock:
    """Its seconds begin anywhere, and it can be made to have gone on while nothing ran."""

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
    kept = shared.get(Dataset.NODES, name)
    assert kept is not None
    return lease_from(kept.value)


@in_virtual_time
async def test_a_lease_is_renewed_for_as_long_as_its_node_lives() -> None:
    shared = engine()
    async with member(shared, "one") as one:
        session = one.session
        for _ in range(1000):
            await asyncio.sleep(0.1)
            assert one.holds
        assert one.session == session
        beats = lease_of(shared, "one").beat
        assert beats - 1 <= RENEWALS * (loop_time() / LEASE_S) <= beats + 2


@in_virtual_time
async def test_ours_is_over_by_a_margin_before_others_may_end_it() -> None:
    shared = engine()
    async with member(shared, "one") as one, member(shared, "two") as two:
        shared.cut("one")
        cut_at = loop_time()
        await until(lambda: not one.holds)
        assert not lease_of(shared, "one").over
        assert loop_time() - cut_at <= LEASE_S * (1 - MARGIN)
        silent_at = loop_time()
        await until(lambda: two.partners() == ["two"])
        assert await two.is_over("one", one.session)
        assert loop_time() - silent_at >= LEASE_S * MARGIN
        assert loop_time() - cut_at <= LEASE_S * (1 + 2 / RENEWALS)


@in_virtual_time
async def test_ours_is_counted_from_before_it_was_asked_for() -> None:
    """The answer comes two ways later, and others may have seen the renewal all that time ago."""
    shared, way_s = engine(), 0.2
    shared.latency = lambda: way_s
    async with member(shared, "a") as a:
        await until(lambda: a.holds)
        answered = loop_time()
        shared.cut("a")
        await until(lambda: not a.holds)
        assert loop_time() - answered <= LEASE_S * (1 - MARGIN) - 2 * way_s + 0.05


@in_virtual_time
async def test_whose_lease_was_ended_begins_another_session() -> None:
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
        assert one.holds
        assert await two.is_over("one", before)
        assert not await two.is_over("one", one.session)
        assert sorted(two.partners()) == sorted(one.partners()) == ["one", "two"]


@in_virtual_time
async def test_who_was_cut_off_for_less_than_its_lease_goes_on_as_it_was() -> None:
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
        assert one.holds


@in_virtual_time
async def test_renewals_in_doubt_are_found_again() -> None:
    shared = engine()
    shared.in_doubt = lambda: True
    async with member(shared, "one") as one:
        before = one.session
        shared.cut("one")
        await asyncio.sleep(30)
        shared.heal("one")
        await settled()
        await settled()
        assert one.holds
        assert one.session == before


@in_virtual_time
async def test_no_clock_is_compared_with_another() -> None:
    shared = engine()
    async with member(shared, "one", Clock(-1e6)) as one, member(shared, "two", Clock(1e9)) as two:
        await asyncio.sleep(10 * LEASE_S)
        assert one.holds
        assert two.holds
        assert sorted(one.partners()) == sorted(two.partners()) == ["one", "two"]


@in_virtual_time
async def test_who_slept_ends_nobody_and_holds_nothing_on_waking() -> None:
    """A process that stood still saw nobody's renewals: that proves nothing of them."""
    shared, clock = engine(), Clock()
    async with member(shared, "one") as one, member(shared, "two", clock) as two:
        before = one.session
        clock.ahead_s += 5 * LEASE_S
        assert not two.holds
        await asyncio.sleep(5 * LEASE_S)
        assert one.session == before
        assert one.holds
        assert two.holds


@in_virtual_time
async def test_the_same_name_again_waits_until_the_old_lease_is_over() -> None:
    shared = engine()
    async with member(shared, "one") as before:
        pass
    begun = loop_time()
    async with member(shared, "one") as again:
        await until(lambda: again.holds)
        assert LEASE_S <= loop_time() - begun <= LEASE_S * (1 + 2 / RENEWALS)
        assert await again.is_over("one", before.session)


@in_virtual_time
async def test_the_same_name_again_begins_at_once_where_it_was_left() -> None:
    shared = engine()
    async with member(shared, "one") as before:
        await before.leave()
    async with member(shared, "one") as again:
        assert again.holds


@in_virtual_time
async def test_of_two_with_one_name_the_second_waits_for_ever() -> None:
    shared = engine()
    async with member(shared, "one") as first, member(shared, "one") as second:
        await asyncio.sleep(10 * LEASE_S)
        assert first.holds
        assert not second.holds


@in_virtual_time
async def test_partners_have_the_same_servers() -> None:
    shared = engine()
    async with member(shared, "one") as one, member(shared, "two") as two:
        two.look_after("others")
        await settled()
        assert one.partners() == ["one"]
        one.look_after("others")
        await settled()
        assert sorted(one.partners()) == ["one", "two"]


@in_virtual_time
async def test_a_session_that_nobody_has_seen_is_over() -> None:
    shared = engine()
    async with member(shared, "one") as one:
        assert await one.is_over("nobody", "s")
        assert await one.is_over("one", "another session")
