"""The records of the servers that are ours. Each is written by one writer, revision after revision.

Whoever has lost a server finds another revision there: nothing that he would write can be written any more.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from loguru import logger

from statemachine.cluster.records import Record, record_from
from statemachine.cluster.store import ConflictError, CutOffError, Dataset, SharedStore

AGAIN_S = 0.5
"""Between two tries while the store does not answer."""
TRIES = 5


class LostError(Exception):
    """The server is not ours any more."""


@dataclass(slots=True, eq=False)
class _Held:
    """`record` is as it should be, `written` as it was last written; `waiting` hear of the next write."""

    record: Record
    written: Record
    revision: int
    waiting: list["asyncio.Future[None]"] = field(default_factory=list)
    writer: asyncio.Task[None] | None = None

    def settle(self, waiting: list["asyncio.Future[None]"], error: Exception | None = None) -> None:
        """Answer those who waited."""
        for future in waiting:
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(None)


class OwnRecords:
    """`on_lost` receives the name of a server that another node has taken."""

    def __init__(self, store: SharedStore, on_lost: Callable[[str], None]) -> None:
        self._store = store
        self._on_lost = on_lost
        self._held: dict[str, _Held] = {}
        self._leaving: dict[str, _Held] = {}

    def __contains__(self, server: object) -> bool:
        return server in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._held))

    def __len__(self) -> int:
        return len(self._held)

    def __getitem__(self, server: str) -> Record:
        return self._held[server].record

    @property
    def unwritten(self) -> int:
        """Records that are not written as they should be."""
        return sum(held.writer is not None for held in self._held.values())

    def hold(self, server: str, record: Record, revision: int) -> None:
        """The record was written as ours, with this revision."""
        leaving = self._leaving.pop(server, None)
        if leaving is not None and leaving.writer is not None:
            leaving.writer.cancel()
        self._held[server] = _Held(record, record, revision)

    async def release(self, server: str) -> None:
        """Write what is still to be written, and leave the server without an owner.

        Where the store does not answer that goes on in the background: until then nobody else can take the server.
        """
        held = self._held.get(server)
        if held is None:
            return
        self.change(server, session=None, node=None)
        if held.writer is not None:
            await asyncio.wait({held.writer}, timeout=AGAIN_S * 2)
        if self._held.get(server) is held:
            del self._held[server]
            if held.writer is not None:
                self._leaving[server] = held

    def forget(self, server: str) -> None:
        """It is not ours any more: nothing is written."""
        held = self._held.pop(server, None)
        if held is not None:
            if held.writer is not None:
                held.writer.cancel()
            held.settle(held.waiting, LostError(f"{server} is another node's"))

    def change(self, server: str, **changes: Any) -> "asyncio.Future[None]":
        """Have fields of the record changed; the future is done when they are, and raises LostError or CutOffError.

        After CutOffError the change is still tried. Several changes are written as one.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_heard)
        held = self._held.get(server)
        if held is None:
            future.set_exception(LostError(f"{server} is not ours"))
            return future
        held.record = replace(held.record, **changes)
        held.waiting.append(future)
        if held.writer is None:
            held.writer = asyncio.get_running_loop().create_task(self._write(server, held))
        return future

    async def _write(self, server: str, held: _Held) -> None:
        """Until it stands there as it should."""
        try:
            while held.record != held.written or held.waiting:
                waiting, held.waiting = held.waiting, []
                try:
                    await self._write_once(server, held, held.record)
                except CutOffError as error:
                    held.settle(waiting, error)
                    await asyncio.sleep(AGAIN_S)
                except LostError as error:
                    held.settle(waiting + held.waiting, error)
                    if self._held.get(server) is held:
                        del self._held[server]
                        self._on_lost(server)
                    return
                else:
                    held.settle(waiting)
        finally:
            held.writer = None
            if self._leaving.get(server) is held:
                del self._leaving[server]

    async def _write_once(self, server: str, held: _Held, record: Record) -> None:
        if record == held.written:
            return
        for _ in range(TRIES):
            try:
                held.revision = await self._store.put(Dataset.SERVERS, server, record.encoded(), held.revision)
            except ConflictError:
                held.revision = await self._revision_if_ours(server, held)
            else:
                held.written = record
                return
        raise CutOffError(f"the record of {server} changes faster than it can be written")

    async def _revision_if_ours(self, server: str, held: _Held) -> int:
        """After a conflict: of a write of ours whose answer was lost. LostError where somebody else has written."""
        kept = await self._store.get(Dataset.SERVERS, server)
        if kept is None or record_from(kept.value).session != held.written.session:
            logger.info("{} has been taken over by another node", server)
            raise LostError(f"{server} has been taken over by another node")
        return kept.revision


def _heard(future: "asyncio.Future[None]") -> None:
    """Not everybody waits for what becomes of a change."""
    if not future.cancelled():
        future.exception()
