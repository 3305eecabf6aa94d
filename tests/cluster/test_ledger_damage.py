"""When a damaged ledger of permits may be written again."""

import asyncio
from collections.abc import Sequence

from statemachine.cluster.ledger_damage import SETTLE_S, LedgerDamage
from statemachine.cluster.membership import RENEWALS
from statemachine.cluster.store import Batch, StoredValue
from tests.cluster.holders import FakeHolders
from tests.cluster.virtual import in_virtual_time


def batch(*revisions: int) -> Batch:
    return Batch([StoredValue("permits", b"", revision) for revision in revisions], caught_up=True)


def damaged(holders: FakeHolders, followed: Sequence[int], known: int, revision: int) -> LedgerDamage:
    """Return a ledger of which revision `known` was read, and that is damaged since another one."""
    damage = LedgerDamage(holders)
    damage.end(known)
    damage.extend(batch(*followed))
    damage.begin(revision)
    return damage


@in_virtual_time
async def test_damage_is_repaired_at_once_if_no_revision_is_hidden() -> None:
    holders = FakeHolders()
    holders.renew("one", 1)
    assert damaged(holders, (4, 5, 6), 4, 6).may_be_repaired()
    assert damaged(holders, (5, 6), 4, 6).may_be_repaired()


@in_virtual_time
async def test_damage_that_may_hide_a_grant_awaits_every_other_node() -> None:
    holders = FakeHolders()
    holders.renew("one", 1)
    holders.renew("two", 1)
    damage = damaged(holders, (4, 6), 4, 6)
    assert not damage.may_be_repaired()
    holders.renew("one", 1 + RENEWALS)
    assert not damage.may_be_repaired()
    holders.renew("two", 1, over=True)
    assert damage.may_be_repaired()


@in_virtual_time
async def test_deletion_without_a_trace_may_hide_a_grant() -> None:
    holders = FakeHolders()
    holders.renew("one", 1)
    assert not damaged(holders, (1, 2, 3, 4), 4, 0).may_be_repaired()


@in_virtual_time
async def test_damage_while_leases_are_unknown_waits() -> None:
    holders = FakeHolders()
    holders.leases.caught_up.clear()
    damage = damaged(holders, (6,), 0, 6)
    assert not damage.may_be_repaired()
    holders.leases.caught_up.set()
    assert damage.may_be_repaired()


@in_virtual_time
async def test_repeated_damage_awaits_again_only_if_it_hides_more() -> None:
    holders = FakeHolders()
    holders.renew("one", 1)
    damage = damaged(holders, (4, 6), 4, 6)
    assert not damage.may_be_repaired()
    holders.renew("one", RENEWALS)
    damage.extend(batch(7))
    damage.begin(7)
    holders.renew("one", 1 + RENEWALS)
    assert damage.may_be_repaired()
    damage.extend(batch(9))
    damage.begin(9)
    assert not damage.may_be_repaired()


@in_virtual_time
async def test_damage_forbids_grants_until_the_next_ledger_was_seen() -> None:
    damage = damaged(FakeHolders(), (4, 5), 4, 5)
    await asyncio.sleep(2 * SETTLE_S)
    assert damage.forbids_grants()
    damage.end(6)
    assert damage.forbids_grants()
    await asyncio.sleep(1.1 * SETTLE_S)
    assert not damage.forbids_grants()
