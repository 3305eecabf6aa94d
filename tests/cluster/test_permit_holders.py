"""Which nodes may still use permits that the ledger lacks."""

from statemachine.cluster.holders import IDLE_S, LOOK_S, PermitWait, awaited
from statemachine.cluster.membership import RENEWALS
from statemachine.cluster.records import Lease
from tests.cluster.holders import FakeHolders
from tests.cluster.virtual import in_virtual_time

ENDED = None


def lease(beat: int, session: str = "s") -> Lease:
    return Lease("one", session, beat=beat)


def test_awaited_ends_once_the_lease_was_renewed_enough() -> None:
    since = lease(3)
    assert awaited(since, lease(3)) == since
    assert awaited(since, lease(3 + RENEWALS - 1)) == since
    assert awaited(since, lease(3 + RENEWALS)) is None


def test_awaited_ends_with_the_session() -> None:
    assert awaited(lease(3), ENDED) is None
    assert awaited(ENDED, ENDED) is None


def test_awaited_starts_again_with_another_session() -> None:
    next_one = lease(9, "t")
    assert awaited(lease(1), next_one) == next_one
    assert awaited(ENDED, next_one) == next_one


@in_virtual_time
async def test_holders_owner_ends_with_its_session() -> None:
    holders = FakeHolders()
    holders.own("a", "one")
    assert holders.owner("a") is None
    holders.renew("one", 1)
    assert holders.owner("a") == Lease("one", "one1", beat=1)
    holders.renew("one", 1, over=True)
    assert holders.owner("a") is None


@in_virtual_time
async def test_holders_warming_needs_a_living_owner() -> None:
    holders = FakeHolders()
    holders.own("a", "one", in_flight=True)
    assert (holders.is_warming("a"), holders.has_open_attempt("a")) == (False, True)
    holders.renew("one", 1)
    assert holders.is_warming("a")
    holders.own("a", "one")
    assert not holders.is_warming("a")


@in_virtual_time
async def test_holders_others_are_unknown_until_leases_are() -> None:
    holders = FakeHolders()
    holders.leases.caught_up.clear()
    assert holders.others() is None
    holders.leases.caught_up.set()
    for node in ("us", "one", "two"):
        holders.renew(node, 1)
    holders.renew("two", 1, over=True)
    others = holders.others()
    assert others is not None
    assert list(others) == ["one"]
    assert holders.still_awaited(others) == others
    holders.renew("one", 1 + RENEWALS)
    assert not holders.still_awaited(others)


def looked(holders: FakeHolders, wait: PermitWait, seconds: float) -> PermitWait:
    """Return what is left of a wait for the permit of `a` after looks for some time."""
    for _ in range(int(seconds / LOOK_S)):
        wait = holders.look("a", wait)
    return wait


@in_virtual_time
async def test_wait_is_over_after_a_pause_once_the_owner_has_run() -> None:
    holders = FakeHolders()
    holders.own("a", "one")
    holders.renew("one", 1)
    wait = looked(holders, holders.begin_wait("a"), 5 * IDLE_S)
    assert (list(wait.awaited), wait.is_over) == (["one"], False)
    holders.renew("one", 1 + RENEWALS)
    wait = looked(holders, wait, IDLE_S)
    assert not wait.awaited
    assert not wait.is_over
    assert looked(holders, wait, 2 * LOOK_S).is_over


@in_virtual_time
async def test_wait_begins_again_with_the_next_owner() -> None:
    holders = FakeHolders()
    wait = looked(holders, holders.begin_wait("a"), 2 * IDLE_S)
    assert wait.is_over
    holders.own("a", "two")
    holders.renew("two", 1)
    wait = holders.look("a", wait)
    assert (list(wait.awaited), wait.is_over) == (["two"], False)


@in_virtual_time
async def test_wait_for_a_prompt_without_owner_awaits_every_other_node() -> None:
    holders = FakeHolders()
    for node in ("us", "two", "three"):
        holders.renew(node, 1)
    holders.own("a", "dead")
    assert not holders.begin_wait("a").awaited
    holders.own("a", "dead", in_flight=True)
    assert set(holders.begin_wait("a").awaited) == {"two", "three"}
