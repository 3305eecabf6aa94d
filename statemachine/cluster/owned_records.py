"""The records of the servers that this node owns. Each has one writer, which writes one revision after the other.

After another node has taken a server its record has another revision, so this node's writes fail. While this node holds
its lease, no other node takes a server that it has not given up, so a record that was deleted or cannot be read is
written again.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from loguru import logger

from statemachine.cluster.records import Record, record_from
from statemachine.cluster.store import ConflictError, Dataset, SharedStore, StoreUnavailableError

RETRY_S = 0.5
TRIES = 5
REPAIR_S = 0.1
"""The pause before a damaged record is written again, so that two writers do not write it without a pause."""


class OwnershipLostError(Exception):
    """This node no longer owns the server."""


@dataclass(slots=True, eq=False)
class _OwnedRecord:
    """`record` is the wanted content, `written` the one in the store; `waiters` are resolved by the next write.

    `is_damaged`: what is in the store cannot be read.
    """

    record: Record
    written: Record
    revision: int
    is_damaged: bool = False
    waiters: list["asyncio.Future[None]"] = field(default_factory=list)
    writer: asyncio.Task[None] | None = None

    def resolve(self, waiters: list["asyncio.Future[None]"], error: Exception | None = None) -> None:
        """Complete the futures, or fail them with `error`."""
        for future in waiters:
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(None)


class OwnedRecords:
    """`on_lost` receives the name of each server that another node has taken."""

    def __init__(
        self, store: SharedStore, on_lost: Callable[[str], None], holds_lease: Callable[[], bool] = lambda: False
    ) -> None:
        """`holds_lease` returns whether the session that owns these servers goes on for certain."""
        self._store = store
        self._on_lost = on_lost
        self._holds_lease = holds_lease
        self._owned: dict[str, _OwnedRecord] = {}
        self._leaving: dict[str, _OwnedRecord] = {}

    def __contains__(self, server: object) -> bool:
        return server in self._owned

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._owned))

    def __len__(self) -> int:
        return len(self._owned)

    def __getitem__(self, server: str) -> Record:
        return self._owned[server].record

    def revision(self, server: str) -> int:
        """Return the revision of our last write."""
        return self._owned[server].revision

    @property
    def unwritten(self) -> int:
        """The number of records with changes that are not written yet."""
        return sum(owned.writer is not None for owned in self._owned.values())

    def add(self, server: str, record: Record, revision: int) -> None:
        """Add a record that was just written with our session."""
        leaving = self._leaving.pop(server, None)
        if leaving is not None and leaving.writer is not None:
            leaving.writer.cancel()
        self._owned[server] = _OwnedRecord(record, record, revision)

    async def release(self, server: str) -> None:
        """Write what is still unwritten and remove the owner.

        While the store is cut off this goes on in the background, and no other node can take the server.
        """
        owned = self._owned.get(server)
        if owned is None:
            return
        self.change(server, session=None, node=None)
        if owned.writer is not None:
            await asyncio.wait({owned.writer}, timeout=RETRY_S * 2)
        if self._owned.get(server) is owned:
            del self._owned[server]
            if owned.writer is not None:
                self._leaving[server] = owned

    def forget(self, server: str) -> None:
        """Drop a record that is no longer ours, without writing it."""
        owned = self._owned.pop(server, None)
        if owned is not None:
            if owned.writer is not None:
                owned.writer.cancel()
            owned.resolve(owned.waiters, OwnershipLostError(f"another node owns {server}"))

    def change(self, server: str, **changes: Any) -> "asyncio.Future[None]":
        """Change fields of the record. The returned future completes once they are written.

        It fails with OwnershipLostError, or with StoreUnavailableError, after which the write is still retried. Changes
        made before a write starts are written together.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_ignore_exception)
        owned = self._owned.get(server)
        if owned is None:
            future.set_exception(OwnershipLostError(f"this node does not own {server}"))
            return future
        owned.record = replace(owned.record, **changes)
        owned.waiters.append(future)
        if owned.writer is None:
            owned.writer = asyncio.get_running_loop().create_task(self._write(server, owned))
        return future

    def rewrite(self, server: str) -> None:
        """Write the record again, because what is in the store cannot be read."""
        owned = self._owned.get(server)
        if owned is not None:
            owned.is_damaged = True
            self.change(server)

    async def _write(self, server: str, owned: _OwnedRecord) -> None:
        """Write until the store has the wanted content or the server is lost."""
        try:
            while owned.record != owned.written or owned.waiters:
                waiters, owned.waiters = owned.waiters, []
                try:
                    await self._write_once(server, owned, owned.record)
                except StoreUnavailableError as error:
                    owned.resolve(waiters, error)
                    await asyncio.sleep(RETRY_S)
                except OwnershipLostError as error:
                    owned.resolve(waiters + owned.waiters, error)
                    if self._owned.get(server) is owned:
                        del self._owned[server]
                        self._on_lost(server)
                    return
                else:
                    owned.resolve(waiters)
        finally:
            owned.writer = None
            if self._leaving.get(server) is owned:
                del self._leaving[server]

    async def _write_once(self, server: str, owned: _OwnedRecord, record: Record) -> None:
        if record == owned.written and not owned.is_damaged:
            return
        if owned.is_damaged:
            await asyncio.sleep(REPAIR_S)
        for _ in range(TRIES):
            try:
                owned.revision = await self._store.put(Dataset.SERVERS, server, record.encoded(server), owned.revision)
            except ConflictError:
                owned.revision = await self._revision_if_ours(server, owned)
            else:
                owned.written, owned.is_damaged = record, False
                return
        raise StoreUnavailableError(f"the record of {server} still conflicts after {TRIES} writes")

    async def _revision_if_ours(self, server: str, owned: _OwnedRecord) -> int:
        """Return the revision to write at after a conflict. Raises OwnershipLostError if another node may have written.

        What is stored is our write whose answer was lost, or was damaged by another writer.
        """
        stored = await self._store.get(Dataset.SERVERS, server)
        record = record_from(stored) if stored is not None else None
        is_ours = self._keeps(server, owned) if record is None else record.session == owned.written.session
        if not is_ours:
            logger.info("another node has taken {}", server)
            raise OwnershipLostError(f"another node has taken {server}")
        return stored.revision if stored is not None else 0

    def _keeps(self, server: str, owned: _OwnedRecord) -> bool:
        """Return whether the server is still ours, although the store does not say so."""
        return self._owned.get(server) is owned and owned.record.session is not None and self._holds_lease()


def _ignore_exception(future: "asyncio.Future[None]") -> None:
    """Mark the exception as retrieved: not every caller awaits the future."""
    if not future.cancelled():
        future.exception()
