"""Permits over a store that delays, loses and reorders answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from typing_extensions import override

from statemachine.cluster.holders import IDLE_S, PermitHolders
from statemachine.cluster.ledger_damage import SETTLE_S
from statemachine.cluster.membership import RENEWALS
from statemachine.cluster.permits import LEDGER, SharedPermits
from statemachine.cluster.store import Dataset
from statemachine.cluster.vanished_permits import SUBJECT
from statemachine.core.ports import Ownership
from tests.cluster.fake_store import FakeEngine
from tests.cluster.holders import FakeHolders
from tests.cluster.nodes import OwnsEverything, engine, settled
from tests.cluster.virtual import in_virtual_time


class OwnsNothing(OwnsEverything):
    """Own no server."""

    @override
    def owns(self, server: str) -> bool:
        return False


class Owns(OwnsEverything):
    """Own some servers."""

    def __init__(self, *servers: str) -> None:
        self._servers = servers

    @override
    def owns(self, server: str) -> bool:
        return server in self._servers


def held(shared: FakeEngine) -> dict[str, str]:
    """Return the ledger in the store."""
    stored = shared.get(Dataset.SHARED, LEDGER)
    ledger: dict[str, str] = orjson.loads(stored.value) if stored is not None else {}
    return ledger


@asynccontextmanager
async def permits(
    shared: FakeEngine,
    name: str,
    total: int = 1,
    ownership: Ownership = OwnsEverything(),  # noqa: B008
    holders: PermitHolders | None = None,
) -> AsyncIterator[SharedPermits]:
    made = SharedPermits(shared.store(name, 1.0), ownership, holders or FakeHolders(), total, 1)
    running = asyncio.ensure_future(made.run())
    await settled()
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@in_virtual_time
async def test_acquire_cancelled_in_doubt_frees_the_permit() -> None:
    shared = engine()
    async with permits(shared, "one") as one:
        shared.in_doubt = lambda: True
        shared.cut("one")
        waiting = asyncio.ensure_future(one.acquire("a", "h"))
        await asyncio.sleep(0.01)
        assert held(shared) == {"a": "h"}
        await asyncio.sleep(1.2)
        waiting.cancel()
        await asyncio.sleep(10)
        shared.heal("one")
        await settled()
        assert held(shared) == {}


@in_virtual_time
async def test_acquire_in_doubt_is_granted_once_connected() -> None:
    shared = engine()
    async with permits(shared, "one") as one:
        shared.in_doubt = lambda: True
        shared.cut("one")
        waiting = asyncio.ensure_future(one.acquire("a", "h"))
        await asyncio.sleep(10)
        assert not waiting.done()
        shared.heal("one")
        await asyncio.wait_for(waiting, 5)
        assert held(shared) == {"a": "h"}


@in_virtual_time
async def test_take_keeps_what_another_node_wrote_meanwhile() -> None:
    """The answer to our own write may arrive after the next write of another node."""
    shared = engine()
    async with permits(shared, "one", 9) as one, permits(shared, "two", 9) as two:
        delays = iter([0.001, 0.5])
        one_way = shared.latency
        shared.latency = lambda: next(delays, 0.001)
        one.take("a", "h")
        await asyncio.sleep(0.01)
        shared.latency = one_way
        two.take("b", "i")
        await settled()
        one.take("c", "j")
        await settled()
        assert held(shared) == {"a": "h", "b": "i", "c": "j"}


@in_virtual_time
async def test_permit_outlives_the_node_that_acquired_it() -> None:
    shared = engine()
    async with permits(shared, "one") as one:
        await one.acquire("a", "h")
    async with permits(shared, "two") as two:
        waiting = asyncio.ensure_future(two.acquire("b", "i"))
        await settled()
        assert not waiting.done()
        two.release("a")
        await asyncio.wait_for(waiting, 1)


@in_virtual_time
async def test_acquire_while_resized_repeatedly_is_granted() -> None:
    async with permits(FakeEngine(), "one") as one:
        waiting = asyncio.ensure_future(one.acquire("a", "h"))
        for _ in range(1000):
            if waiting.done():
                break
            one.resize(1, 1)
            await asyncio.sleep(0)
        assert waiting.done()


GARBAGE = [
    b"",
    b"\xff",
    b"[]",
    b"7",
    b"null",
    b'{"a": 1}',
    b'{"a": ["h"]}',
    b"[" * 5000,
    b'"' + b"x" * 2_000_000 + b'"',
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@in_virtual_time
async def test_unreadable_ledger_is_rebuilt_with_every_permit(garbage: bytes) -> None:
    shared = engine()
    async with permits(shared, "one", 2) as one, permits(shared, "two", 2) as two:
        await one.acquire("a", "h")
        stored = shared.get(Dataset.SHARED, LEDGER)
        assert stored is not None
        shared.put(Dataset.SHARED, LEDGER, garbage, stored.revision)
        await asyncio.wait_for(two.acquire("b", "i"), 5)
        await settled()
        assert held(shared) == {"a": "h", "b": "i"}
        waiting = asyncio.ensure_future(two.acquire("c", "j"))
        await settled()
        assert not waiting.done()
        one.release("a")
        await asyncio.wait_for(waiting, 5)


@in_virtual_time
async def test_permits_without_a_warm_up_are_removed_after_a_while() -> None:
    """One is of an unknown server, the other of a server whose warm-up has ended."""
    shared = engine()
    shared.put(Dataset.SHARED, LEDGER, orjson.dumps({"ghost": "h", "ended": "i", "warming": "j"}), 0)
    holders = FakeHolders()
    holders.renew("two", 1)
    holders.own("warming", "two", in_flight=True)
    async with permits(shared, "one", 9, OwnsNothing(), holders):
        await asyncio.sleep(IDLE_S - 5)
        assert set(held(shared)) == {"ghost", "ended", "warming"}
        await asyncio.sleep(10)
        assert held(shared) == {"warming": "j"}


@in_virtual_time
async def test_ghosts_do_not_keep_a_waiter_waiting() -> None:
    shared = engine()
    shared.put(Dataset.SHARED, LEDGER, orjson.dumps({f"ghost{i}": "h" for i in range(2_000)}), 0)
    async with permits(shared, "one") as one:
        await asyncio.wait_for(one.acquire("a", "h"), 2 * IDLE_S)
        assert held(shared) == {"a": "h"}


@in_virtual_time
async def test_permit_that_its_owner_wants_is_never_missing_for_long() -> None:
    """Another node cannot see the warm-up; its owner writes the permit again."""
    shared = engine()
    async with permits(shared, "one", 1) as one, permits(shared, "two", 1, ownership=OwnsNothing()):
        one.take("a", "h")
        missing = 0
        for _ in range(int(5 * IDLE_S)):
            await asyncio.sleep(1.0)
            missing += held(shared) != {"a": "h"}
        assert missing == 0


@in_virtual_time
async def test_permit_with_a_warm_up_meanwhile_is_kept() -> None:
    shared = engine()
    shared.put(Dataset.SHARED, LEDGER, orjson.dumps({"a": "h"}), 0)
    holders = FakeHolders()
    holders.renew("two", 1)
    async with permits(shared, "one", ownership=OwnsNothing(), holders=holders):
        await asyncio.sleep(IDLE_S - 5)
        holders.own("a", "two", in_flight=True)
        await asyncio.sleep(2)
        holders.own("a", "two")
        await asyncio.sleep(IDLE_S - 5)
        assert held(shared) == {"a": "h"}


@in_virtual_time
async def test_deleted_ledger_is_written_again_at_once() -> None:
    shared = engine()
    async with permits(shared, "one", 2) as one, permits(shared, "two", 2) as two:
        await one.acquire("a", "h")
        await two.acquire("b", "i")
        shared.remove(Dataset.SHARED, LEDGER)
        await asyncio.sleep(1.0)
        assert held(shared) == {"a": "h", "b": "i"}


@in_virtual_time
@pytest.mark.parametrize("left", [{}, {"b": "i"}, {"c": "j"}], ids=["nothing", "other", "foreign"])
async def test_valid_ledger_without_a_permit_grants_it_to_no_other_server(left: dict[str, str]) -> None:
    """Anything may write a valid ledger; the node whose permit it lacks adds it again."""
    shared = engine()
    async with (
        permits(shared, "two", 2, ownership=Owns("d")) as two,
        permits(shared, "one", 2, ownership=Owns("a", "b")) as one,
    ):
        await one.acquire("a", "h")
        await one.acquire("b", "i")
        waiting = asyncio.ensure_future(two.acquire("d", "k"))
        await settled()
        shared.overwrite(Dataset.SHARED, LEDGER, orjson.dumps(left))
        await asyncio.sleep(2 * SETTLE_S)
        assert held(shared).items() >= {"a": "h", "b": "i"}.items()
        assert not waiting.done()
        waiting.cancel()


@in_virtual_time
async def test_permit_released_by_one_node_is_granted_by_the_other() -> None:
    shared = engine()
    async with permits(shared, "one", ownership=Owns("a")) as one, permits(shared, "two", ownership=Owns("b")) as two:
        await one.acquire("a", "h")
        waiting = asyncio.ensure_future(two.acquire("b", "i"))
        await settled()
        one.release("a")
        await asyncio.sleep(0.1 * SETTLE_S)
        assert waiting.done()
        assert held(shared) == {"b": "i"}


@in_virtual_time
@pytest.mark.parametrize("announcement", [b"", b"{}", b"[]", b'["1", ["a"]]', b"[1, 2]", b'[1, ["a"]]'])
async def test_permit_without_an_announced_release_counts_for_a_while(announcement: bytes) -> None:
    """If the announcement is lost, unreadable or of another write."""
    shared, holders = engine(), FakeHolders()
    holders.own("a", "one")
    holders.renew("one", 1)
    async with (
        permits(shared, "one", ownership=Owns("a")) as one,
        permits(shared, "two", ownership=Owns("b"), holders=holders) as two,
    ):
        await one.acquire("a", "h")
        waiting = asyncio.ensure_future(two.acquire("b", "i"))
        await settled()
        shared.stores["one"].publish = lambda *_: None  # type: ignore[method-assign]
        one.release("a")
        await asyncio.sleep(0.1)
        shared.stores["two"].deliver(SUBJECT, announcement)
        await settled()
        assert not waiting.done()
        holders.renew("one", 1 + RENEWALS)
        await settled()
        assert waiting.done()


@in_virtual_time
async def test_lost_permit_counts_although_an_earlier_one_was_released() -> None:
    shared = engine()
    async with permits(shared, "one", ownership=Owns("a")) as one, permits(shared, "two", ownership=Owns("b")) as two:
        await one.acquire("a", "h")
        one.release("a")
        await one.acquire("a", "h")
        waiting = asyncio.ensure_future(two.acquire("b", "i"))
        await settled()
        shared.overwrite(Dataset.SHARED, LEDGER, b"{}")
        await settled()
        assert held(shared) == {"a": "h"}
        assert not waiting.done()
        waiting.cancel()


@in_virtual_time
async def test_groups_of_servers_without_permit_are_forgotten() -> None:
    ownership = Owns("a")
    async with permits(engine(), "one", 9, ownership=ownership) as one:
        for number in range(100):
            ownership._servers = (str(number),)
            one.take(str(number), "h", "g")
            one.release(str(number))
            await settled()
        assert len(one._groups) <= 1


@in_virtual_time
async def test_write_announces_no_permit_that_others_have_got_meanwhile() -> None:
    """The answer to our write arrives after that of another node which came later."""
    shared = engine()
    announced: list[bytes] = []
    async with permits(shared, "one", 9, ownership=Owns("a")) as one, permits(shared, "two", 9) as two:
        shared.stores["one"].publish = lambda _, value: announced.append(value)  # type: ignore[assignment, method-assign]
        one.take("a", "h")
        await settled()
        put = one._store.put

        async def late(*arguments: Any) -> int:
            revision = await put(*arguments)
            two.take("b", "i")
            await settled()
            return revision

        one._store.put = late  # type: ignore[method-assign, assignment]
        one.release("a")
        await asyncio.sleep(10.0)
        assert [orjson.loads(value)[1] for value in announced] == [["a"]]
        assert held(shared) == {"b": "i"}
