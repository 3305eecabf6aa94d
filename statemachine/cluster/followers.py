"""The latest leases and records in the shared store, as this node has seen them."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from statemachine.cluster.records import Lease, Record, lease_from, record_from
from statemachine.cluster.store import Dataset, SharedStore, StoredValue

FREE = Record()

OnRecord = Callable[[str, Record], None]
"""Receive a server's name and its record."""


@dataclass(frozen=True, slots=True)
class SeenLease:
    """A lease at its revision. `seen_at` is our steady clock's time when we first saw it."""

    lease: Lease
    revision: int
    seen_at: float


class LeaseFollower:
    """Follow the leases of all nodes. `on_change` is called when some have changed."""

    def __init__(self, store: SharedStore, steady: Callable[[], float], on_change: Callable[[], None]) -> None:
        self.caught_up = asyncio.Event()
        self._store = store
        self._steady = steady
        self._on_change = on_change
        self._seen: dict[str, SeenLease] = {}

    async def run(self) -> None:
        """Follow the leases until cancelled."""
        async with aclosing(self._store.follow(Dataset.NODES)) as batches:
            async for batch in batches:
                for stored in batch.values:
                    self.observe(stored)
                if batch.caught_up:
                    self.caught_up.set()
                self._on_change()

    def observe(self, stored: StoredValue) -> None:
        """Use the lease if it is newer than the one seen before."""
        before = self._seen.get(stored.key)
        if before is None or stored.revision > before.revision:
            self._seen[stored.key] = SeenLease(lease_from(stored.value), stored.revision, self._steady())

    def all(self) -> list[SeenLease]:
        """Return the leases of all nodes."""
        return list(self._seen.values())

    async def look_up(self, node: str) -> SeenLease | None:
        """Read the lease from the store's leader, because what we follow may be late."""
        stored = await self._store.get(Dataset.NODES, node)
        if stored is not None:
            self.observe(stored)
        return self._seen.get(node)

    async def has_ended(self, node: str, session: str) -> bool:
        """Return whether that session no longer owns anything. Raises StoreUnavailableError."""
        seen = self._seen.get(node)
        if seen is None or seen.lease.session != session:
            seen = await self.look_up(node)
        return seen is None or seen.lease.session != session or seen.lease.over


class RecordFollower:
    """Follow the records of all servers. `on_change` is called when some have changed."""

    def __init__(self, store: SharedStore, on_change: Callable[[], None]) -> None:
        self.is_caught_up = False
        self._store = store
        self._on_change = on_change
        self._seen: dict[str, tuple[Record, int]] = {}
        self._listeners: list[OnRecord] = []

    def add_listener(self, listener: OnRecord) -> None:
        """Call `listener` with each record that has changed."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow the records until cancelled."""
        async with aclosing(self._store.follow(Dataset.SERVERS)) as batches:
            async for batch in batches:
                for stored in batch.values:
                    self.observe(stored)
                self.is_caught_up = self.is_caught_up or batch.caught_up
                self._on_change()

    def observe(self, stored: StoredValue) -> None:
        """Use the record if it is newer than the one seen before, and pass it to the listeners."""
        if stored.revision > self.latest(stored.key)[1]:
            self._seen[stored.key] = record_from(stored.value), stored.revision
            self.notify(stored.key)

    def correct(self, server: str, stored: StoredValue | None) -> None:
        """Use what the store's leader has; None if the record was deleted, as an operator may do."""
        if stored is None:
            self._seen.pop(server, None)
        else:
            self.observe(stored)

    def notify(self, server: str) -> None:
        """Pass the latest record to the listeners, perhaps again."""
        for listener in self._listeners:
            listener(server, self.latest(server)[0])

    def latest(self, server: str) -> tuple[Record, int]:
        """Return the record and its revision; a server without a record is free at revision 0."""
        return self._seen.get(server, (FREE, 0))

    def of_session(self, session: str) -> list[str]:
        """Return the servers whose records name this session."""
        return [name for name, (record, _) in self._seen.items() if record.session == session]
