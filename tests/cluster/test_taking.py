"""What one node takes, gives up and tells of servers, over an engine made up in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

from statemachine.cluster.membership import Identity, Membership
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.permits import SharedPermits
from statemachine.cluster.records import Record
from statemachine.cluster.store import Dataset
from tests.cluster.fake_store import FakeEngine
from tests.cluster.following import until
from tests.cluster.owners import OwnsWhatever

SERVERS = ["s1", "s2", "s3"]
PATIENCE_S = 10.0


@dataclass
class Taker:
    """Hands that hold on to what they are given."""

    held: set[str] = field(default_factory=set)
    in_flight: frozenset[str] = frozenset()

    async def acquire(self, servers: Collection[str]) -> None:
        self.held |= set(servers)

    async def release(self, servers: Collection[str]) -> None:
        self.held -= set(servers)


@asynccontextmanager
async def node(engine: FakeEngine, name: str) -> AsyncIterator[LeasedOwnership]:
    store, numbers = engine.store(name), count()
    wake = asyncio.Event()
    identity = Identity(name, 2.0, time.monotonic, lambda: f"{name}-{next(numbers)}")
    membership = Membership(store, identity, wake.set)
    ownership = LeasedOwnership(store, membership, wake)
    tasks = [asyncio.create_task(work()) for work in (membership.run, ownership.run)]
    try:
        yield ownership
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_node_that_stops_takes_nothing_that_others_leave() -> None:
    engine, stopping, leaving = FakeEngine(), Taker(), Taker()
    async with node(engine, "a") as a:
        await a.set_servers(SERVERS, stopping)
        async with node(engine, "b") as b:
            await b.set_servers(SERVERS, leaving)
            await until(lambda: bool(leaving.held) and len(stopping.held) + len(leaving.held) == len(SERVERS))
            a.close()
            before = set(stopping.held)
        await b.leave()
        await b._membership.leave()
        await asyncio.sleep(1.0)
        assert stopping.held == before


async def test_what_was_heard_of_servers_before_they_were_shown_is_told_then() -> None:
    engine, told = FakeEngine(), list[str]()
    for name in SERVERS:
        await engine.store("other").put(Dataset.SERVERS, name, Record("session", "other").encoded(), 0)
    async with node(engine, "a") as a:
        a.add_listener(lambda name, record: told.append(f"{name} {record.node}"))
        await until(lambda: len(told) == len(SERVERS))
        told.clear()
        await a.set_servers(SERVERS, Taker())
        assert sorted(told) == [f"{name} other" for name in SERVERS]


async def test_the_ledger_is_looked_at_again_before_the_holder_of_a_new_permit_runs() -> None:
    """Whoever was granted one is not granted it again, which would never end."""
    permits = SharedPermits(FakeEngine().store("a"), OwnsWhatever(), 1, 1)
    running = asyncio.create_task(permits.run())
    holder = asyncio.create_task(permits.acquire("s1", "host"))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not holder.done():
                permits.resize(1, 1)
                await asyncio.sleep(0)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_a_node_that_leaves_as_its_lease_is_renewed_leaves_all_the_same() -> None:
    engine = FakeEngine(latency=lambda: 0.1)
    leaving, other = (
        Membership(engine.store(name), Identity(name, 1.0, time.monotonic, lambda: "one"), lambda: None)
        for name in "ab"
    )
    tasks = [asyncio.create_task(member.run()) for member in (leaving, other)]
    try:
        await until(lambda: sorted(other.partners()) == ["a", "b"])
        await until(leaving._renewing.locked)
        await leaving.leave()
        await until(lambda: other.partners() == ["b"])
        await asyncio.sleep(0.7)
        assert other.partners() == ["b"]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
