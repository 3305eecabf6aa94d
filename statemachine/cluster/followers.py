"""The latest leases and records in the shared store, as this node has seen them.

A value that cannot be read may have replaced one that this node has never seen. The last readable one stays in use, and
no ownership ends before a lease's length has passed, unless every revision in between was seen.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from statemachine.cluster.owner_index import OwnerIndex
from statemachine.cluster.records import Lease, Record, lease_from, record_from
from statemachine.cluster.store import Batch, Dataset, SharedStore, StoredValue

FREE = Record()

OnRecord = Callable[[str, Record], None]
"""Receive a server's name and its record."""

Lives = Callable[[str, str], bool]
"""Return whether the session of a node may own servers."""

OnUnreadable = Callable[[str], None]
"""Receive the key of a value that cannot be read, or that was deleted."""


@dataclass(frozen=True, slots=True)
class SeenLease:
    """A lease at its revision. `seen_at` is our steady clock's time when we first saw that revision.

    While `is_readable` is false, `lease` is the last readable one, and its node may have begun another session.
    """

    lease: Lease
    revision: int
    seen_at: float
    is_readable: bool = True

    @property
    def has_ended(self) -> bool:
        """Whether the node is known to have no session."""
        return self.is_readable and self.lease.over


class LeaseFollower:
    """Follow the leases of all nodes. `on_change` is called when some have changed."""

    def __init__(
        self,
        store: SharedStore,
        steady: Callable[[], float],
        on_change: Callable[[], None],
        on_unreadable: OnUnreadable,
    ) -> None:
        self.caught_up = asyncio.Event()
        self._store = store
        self._steady = steady
        self._on_change = on_change
        self._on_unreadable = on_unreadable
        self._seen: dict[str, SeenLease] = {}
        self._unbroken = UnbrokenRun()

    async def run(self) -> None:
        """Follow the leases until cancelled."""
        async with aclosing(self._store.follow(Dataset.NODES)) as batches:
            async for batch in batches:
                self._unbroken.extend(batch)
                for stored in batch.values:
                    self.observe(stored)
                for removed in batch.removed:
                    self._keep(removed.key, removed.revision)
                if batch.caught_up:
                    self.caught_up.set()
                self._on_change()

    def observe(self, stored: StoredValue) -> None:
        """Use the lease if it is newer than the one seen before."""
        before = self._seen.get(stored.key)
        if before is not None and stored.revision <= before.revision:
            return
        lease = lease_from(stored)
        if lease is None:
            self._keep(stored.key, stored.revision)
        else:
            self._seen[stored.key] = SeenLease(lease, stored.revision, self._steady())

    def _keep(self, node: str, revision: int) -> None:
        """Keep the last readable lease of a key that was damaged or deleted, and what follows if it was the last."""
        before = self._seen.get(node, SeenLease(Lease(node, ""), 0, 0.0))
        if revision <= before.revision:
            return
        if self._unbroken.includes(before.revision, revision):
            self._seen[node] = replace(before, revision=revision)
        else:
            self._seen[node] = SeenLease(before.lease, revision, self._steady(), is_readable=False)
        self._on_unreadable(node)

    def latest(self, node: str) -> SeenLease | None:
        """Return the lease of a node, None if there is none."""
        return self._seen.get(node)

    def all(self) -> list[SeenLease]:
        """Return the leases of all nodes."""
        return list(self._seen.values())

    async def look_up(self, node: str) -> SeenLease | None:
        """Read the lease from the store's leader, because what we follow may be late.

        One that was deleted by hand is kept at revision 0.
        """
        stored, before = await self._store.get(Dataset.NODES, node), self._seen.get(node)
        if stored is not None:
            self.observe(stored)
        elif before is not None and before.revision:
            self._seen[node] = SeenLease(before.lease, 0, self._steady(), is_readable=False)
        return self._seen.get(node)

    async def has_ended(self, node: str, session: str) -> bool:
        """Return whether that session no longer owns anything. Raises StoreUnavailableError.

        A node whose lease was deleted before we saw it gets the time to write it again.
        """
        seen = self._seen.get(node)
        if seen is None or seen.lease.session != session:
            seen = await self.look_up(node)
        if seen is None:
            self._seen[node] = seen = SeenLease(Lease(node, ""), 0, self._steady(), is_readable=False)
        return seen.has_ended or (seen.is_readable and seen.lease.session != session)

    def lives(self, node: str, session: str) -> bool:
        """Return whether that session may own servers, as far as we have seen."""
        seen = self._seen.get(node)
        return seen is not None and not seen.has_ended and (seen.lease.session == session or not seen.is_readable)


class UnbrokenRun:
    """The revisions of a dataset that were followed without a gap. A gap may hide a value that was overwritten."""

    def __init__(self) -> None:
        self._first, self._last = 0, -1

    def extend(self, batch: Batch) -> None:
        """Add the revisions of a batch."""
        for revision in sorted(stored.revision for stored in (*batch.values, *batch.removed)):
            self._first = self._first if revision == self._last + 1 else revision
            self._last = revision

    def includes(self, first: int, last: int) -> bool:
        """Return whether all revisions from `first` to `last` were followed."""
        return 0 < self._first <= first <= last <= self._last


class RecordFollower:
    """Follow the records of all servers. `on_change` is called when some have changed."""

    def __init__(
        self,
        store: SharedStore,
        steady: Callable[[], float],
        on_change: Callable[[], None],
        on_unreadable: OnUnreadable,
    ) -> None:
        self.is_caught_up = False
        self._store = store
        self._steady = steady
        self._on_change = on_change
        self._on_unreadable = on_unreadable
        self._seen: dict[str, tuple[Record, int]] = {}
        self._owned = OwnerIndex()
        self._listed: frozenset[str] = frozenset()
        self._is_listing = False
        self._unread_since: dict[str, float] = {}
        """When we saw the latest record, of servers where it cannot be read and may have replaced an unseen one."""
        self._unbroken = UnbrokenRun()
        self._listeners: list[OnRecord] = []

    def add_listener(self, listener: OnRecord) -> None:
        """Call `listener` with each record that has changed."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow the records until cancelled."""
        async with aclosing(self._store.follow(Dataset.SERVERS)) as batches:
            async for batch in batches:
                self._unbroken.extend(batch)
                for stored in batch.values:
                    self.observe(stored)
                for removed in batch.removed:
                    self._keep(removed.key, removed.revision)
                self.is_caught_up = self.is_caught_up or batch.caught_up
                self._on_change()

    def observe(self, stored: StoredValue) -> None:
        """Use the record if it is newer than the one seen before, and pass it to the listeners."""
        if stored.revision <= self.latest(stored.key)[1]:
            return
        record = record_from(stored)
        if record is None:
            self._keep(stored.key, stored.revision)
        else:
            self._set(stored.key, record, stored.revision)
            self._unread_since.pop(stored.key, None)
            self.notify(stored.key)

    def _keep(self, server: str, revision: int) -> None:
        """Keep the last readable record of a key that was damaged or deleted. If it may not be the last, wait."""
        record, before = self.latest(server)
        if revision <= before:
            return
        self._set(server, record, revision)
        if not self._unbroken.includes(before, revision):
            self._unread_since[server] = self._steady()
        self._on_unreadable(server)

    def correct(self, server: str, stored: StoredValue | None) -> None:
        """Use what the store's leader has; a record that was deleted by hand is kept at revision 0."""
        if stored is not None:
            self.observe(stored)
        elif server in self._seen:
            self._seen[server] = self._seen[server][0], 0

    def notify(self, server: str) -> None:
        """Pass the latest record to the listeners, perhaps again."""
        for listener in self._listeners:
            listener(server, self.latest(server)[0])

    def latest(self, server: str) -> tuple[Record, int]:
        """Return the last readable record, and the revision to write at; a server without a record is free at 0."""
        return self._seen.get(server, (FREE, 0))

    def unread_for(self, server: str) -> float | None:
        """Return the seconds since we saw that the latest record is not known; None if it is."""
        since = self._unread_since.get(server)
        return None if since is None else self._steady() - since

    def set_listed(self, servers: frozenset[str]) -> None:
        """Set the servers of the fleet. Those without a record are free."""
        for name in servers - self._listed:
            self._owned.set(name, self.latest(name)[0])
        for name in self._listed - servers:
            if name not in self._seen:
                self._owned.remove(name)
        self._listed, self._is_listing = servers, True

    def free(self, lives: Lives) -> list[str]:
        """Return the listed servers without an owner that lives."""
        return [name for name in self._unowned(lives) if name in self._listed]

    def unlisted(self, lives: Lives) -> list[str]:
        """Return the servers that are not listed and without an owner that lives, of which there are records."""
        return [name for name in self._unowned(lives) if name not in self._listed]

    def forget(self, server: str, revision: int) -> None:
        """Forget the record of a server that is not listed, unless there is one after this revision."""
        if server not in self._listed and self.latest(server)[1] <= revision:
            self._seen.pop(server, None)
            self._unread_since.pop(server, None)
            self._owned.remove(server)
            self.notify(server)

    def _unowned(self, lives: Lives) -> Iterator[str]:
        ended = [owner for owner in self._owned.owners() if not lives(*owner)]
        return (name for owner in (None, *ended) for name in self._owned.of(owner))

    def owned_by(self, node: str, session: str) -> Collection[str]:
        """Return the servers whose records name this session."""
        return self._owned.of((node, session))

    def _set(self, server: str, record: Record, revision: int) -> None:
        is_needless = self._is_listing and record.session is None and server not in self._listed
        self._seen[server] = replace(record, view=None) if is_needless else record, revision
        self._owned.set(server, record)
