"""The store shared by the nodes. Its records define the owner of each server."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

from typing_extensions import override

from campaigns.simulation.cluster.processes import Process, outside
from statemachine.cluster.records import Lease, Record, lease_from, record_from
from statemachine.cluster.store import Dataset, StoredValue
from tests.cluster.fake_store import FakeEngine, FakeStore

T = TypeVar("T")

QUICK_S = (0.0005, 0.004)


class WatchedEngine(FakeEngine):
    """An in-memory store that calls `on_record(server, record)` for each record that a node has written.

    While it is called, `record(server)` is the one before.
    """

    def __init__(self, rng: Random, lease_s: float, on_record: Callable[[str, Record], None]) -> None:
        super().__init__(self._latency, lambda: rng.random() < 0.5)
        self.slow_s = 0.0
        self.last_owner: dict[str, str] = {}
        """Server → the node that owns it or owned it last."""
        self._rng, self._lease_s, self._on_record = rng, lease_s, on_record
        self._leases: dict[str, tuple[Lease, float]] = {}
        self._records: dict[str, Record] = {}
        self._damaged: set[str] = set()
        """The servers whose record was overwritten or deleted by a person, and not written since."""

    def _latency(self) -> float:
        least, more = QUICK_S
        return least + more * self._rng.random() + self.slow_s * self._rng.random()

    @override
    def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        number = super().put(bucket, key, value, revision)
        stored = StoredValue(key, value, number)
        if bucket is Dataset.NODES and (lease := lease_from(stored)) is not None:
            self._leases[key] = lease, asyncio.get_running_loop().time()
        elif bucket is Dataset.SERVERS and (record := record_from(stored)) is not None:
            self._on_record(key, record)
            self._records[key] = record
            self._damaged.discard(key)
            self.last_owner[key] = record.node or self.last_owner.get(key, "")
        return number

    def shared_keys(self) -> dict[Dataset, list[str]]:
        """Return the keys of each bucket."""
        return {bucket: list(self.datasets[bucket].keys) for bucket in Dataset if bucket is not Dataset.LOG}

    def damage(self, bucket: Dataset, key: str, garbage: bytes | None) -> None:
        """Overwrite the key, or delete it if `garbage` is None."""
        if bucket is Dataset.SERVERS:
            self._damaged.add(key)
        if garbage is None:
            self.remove(bucket, key)
        else:
            self.overwrite(bucket, key, garbage)

    def record(self, server: str) -> Record:
        """Return the last record that a node has written for a server."""
        return self._records.get(server, Record())

    def submission_error(self, node: str, server: str) -> str | None:
        """Return why the node must not submit to the server now, or None if it may."""
        record, (lease, at) = self.record(server), self._leases.get(node, (Lease(node, ""), 0.0))
        age = asyncio.get_running_loop().time() - at
        if record.node != node:
            return f"{record.node} owns it"
        if record.session != lease.session or lease.over:
            return "its session is over"
        return f"its lease is {age:.2f} s old" if age > self._lease_s else None

    def takeover_error(self, server: str, record: Record) -> str | None:
        """Return why the owner of this record must not own the server after the one before, or None if it may."""
        before = self.record(server)
        if before.node is None or record.node is None or before.session == record.session or server in self._damaged:
            return None
        lease, _ = self._leases.get(before.node, (Lease(before.node, ""), 0.0))
        goes_on = lease.session == before.session and not lease.over
        return f"{record.node} took it although the session of {before.node} goes on" if goes_on else None


class NodeStore(FakeStore):
    """The connection of one process. Its requests outlive it; replies wait while it is frozen."""

    def __init__(self, engine: FakeEngine, node: str, process: Process) -> None:
        super().__init__(engine, node, timeout_s=2.0)
        self._process = process
        engine.stores[node] = self

    @override
    async def append(self, value: bytes, message_id: str) -> int:
        return await self._sent(super().append(value, message_id))

    @override
    async def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        return await self._sent(super().put(bucket, key, value, revision))

    @override
    async def get(self, bucket: Dataset, key: str) -> StoredValue | None:
        return await self._sent(super().get(bucket, key))

    @override
    async def forget(self, bucket: Dataset, key: str, revision: int) -> None:
        await self._sent(super().forget(bucket, key, revision))

    @override
    def deliver(self, subject: str, value: bytes) -> None:
        if not self._process.dead:
            deliver = super().deliver
            self._process.call(lambda: deliver(subject, value))

    @override
    async def handle_request(self, subject: str, value: bytes) -> bytes:
        if self._process.dead:
            await asyncio.Event().wait()
        return bytes(await asyncio.shield(self._process.create_task(super().handle_request(subject, value))))

    async def _sent(self, work: Coroutine[Any, Any, T]) -> T:
        if self._process.dead:
            work.close()
            raise asyncio.CancelledError
        sent = outside(work)
        sent.add_done_callback(_retrieve_exception)
        result: T = await asyncio.shield(sent)
        return result


def _retrieve_exception(sent: "asyncio.Future[Any]") -> None:
    """Mark an exception as retrieved; the sender may no longer wait for it."""
    if not sent.cancelled():
        sent.exception()
