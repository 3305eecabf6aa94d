"""Shares the fleet's servers out among the living nodes. Each falls to one of them by rendezvous hashing.

A server is taken by writing ourselves into its record, at the revision at which it was seen free: of two nodes that
try, one succeeds. It is free where nobody owns it or its owner's session is over. What falls to another node is handed
over a few at a time, and never while a prompt of ours is with it.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from hashlib import blake2b

from loguru import logger

from statemachine.cluster.membership import Membership
from statemachine.cluster.owned_records import OwnRecords
from statemachine.cluster.records import Record, record_from
from statemachine.cluster.rendezvous import chosen
from statemachine.cluster.store import ConflictError, CutOffError, Dataset, Kept, SharedStore
from statemachine.core.ownership import ServerHost

TICK_S = 0.25
ACQUIRE_BATCH = 64
"""Servers that are taken, and begun with, before the next ones: one write each."""
MOVED_AT_ONCE = 20
"""Servers that are handed over between two ticks."""

FREE = Record()


OnRecord = Callable[[str, Record], None]
"""Receive a server's name and its record."""


class LeasedOwnership:
    """Runs in `run`. `wake` is set when the membership has changed. `records` holds the records of our servers."""

    def __init__(self, store: SharedStore, membership: Membership, wake: asyncio.Event) -> None:
        self._store = store
        self._membership = membership
        self._own = self.records = OwnRecords(store, self._lose)
        self._session = membership.session
        self._servers: Sequence[str] = ()
        self._ours: frozenset[str] = frozenset()
        self._dealt: tuple[object, ...] = ()
        self._host: ServerHost | None = None
        self._records: dict[str, tuple[Record, int]] = {}
        self._caught_up = False
        self._lost: set[str] = set()
        self._wake = wake
        self._listeners: list[OnRecord] = []

    def add_listener(self, listener: OnRecord) -> None:
        """Call `listener` whenever the record of a server has changed, also of our own servers."""
        self._listeners.append(listener)

    async def set_servers(self, servers: Sequence[str], host: ServerHost) -> None:
        """See the fleet's Ownership. It is done in `run`, as leases and records allow."""
        added = set(servers) - set(self._servers)
        self._servers, self._host = servers, host
        self._tell(added)
        await asyncio.gather(*(self._own.release(name) for name in set(self._own) - set(servers)))
        self._membership.look_after(blake2b("\n".join(sorted(servers)).encode(), digest_size=8).hexdigest())
        self._wake.set()

    def close(self) -> None:
        """See Ownership."""
        self._host = None

    def owns(self, server: str) -> bool:
        """See Ownership."""
        return server in self._own

    def may_submit(self, server: str) -> bool:
        """See Ownership: by our own clock, which no stop of this process stops."""
        return server in self._own and self._session == self._membership.session and self._membership.holds

    def record(self, server: str) -> Record:
        """What was last heard of a server, or is being written."""
        return self._own[server] if server in self._own else self._records.get(server, (FREE, 0))[0]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            tasks.create_task(self._share_out())

    async def leave(self) -> None:
        """The fleet has stopped: leave every server without an owner, for others to take at once."""
        await asyncio.gather(*(self._own.release(name) for name in self._own))

    # What is heard

    async def _watch(self) -> None:
        async with aclosing(self._store.follow(Dataset.SERVERS)) as batches:
            async for batch in batches:
                for kept in batch.kept:
                    self._see(kept)
                self._caught_up = self._caught_up or batch.caught_up
                self._wake.set()

    def _see(self, kept: Kept) -> None:
        if kept.revision > self._records.get(kept.key, (FREE, 0))[1]:
            record = record_from(kept.value)
            self._records[kept.key] = record, kept.revision
            self._publish(kept.key, record)

    def _tell(self, servers: Iterable[str]) -> None:
        """Tell of others' servers what was heard while they were ours, or not shown yet: it may be the last word."""
        for name in servers:
            if name not in self._own:
                self._publish(name, self.record(name))

    def _publish(self, name: str, record: Record) -> None:
        for listener in self._listeners:
            listener(name, record)

    def _lose(self, server: str) -> None:
        self._lost.add(server)
        self._wake.set()

    # What is done

    async def _share_out(self) -> None:
        while True:
            try:
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self._one_round()
            except Exception:
                logger.exception("sharing the servers out failed; it is tried again")
                await asyncio.sleep(TICK_S)

    async def _one_round(self) -> None:
        if self._host is None:
            return
        await self._lay_down_what_is_lost(self._host)
        if self._caught_up and self._membership.holds:
            self._deal()
            await self._take(self._host)
            await self._free_what_is_left()
            if self._host is not None:
                await self._hand_over(self._host)

    async def _lay_down_what_is_lost(self, host: ServerHost) -> None:
        """Where our session is over, that is all we had."""
        if self._session != self._membership.session:
            self._session = self._membership.session
            self._lost |= set(self._own)
        lost, self._lost = self._lost, set()
        if lost:
            for name in lost:
                self._own.forget(name)
            await host.release(lost)
            self._tell(lost)

    def _deal(self) -> None:
        """Work out what falls to us, where the nodes or the servers are others than they were."""
        partners = sorted(self._membership.partners())
        dealt = (partners, self._servers)
        if dealt != self._dealt:
            ours = (name for name in self._servers if chosen(name, partners) == self._membership.node)
            self._ours, self._dealt = frozenset(ours), dealt
            logger.info("{} of {} servers fall to us; nodes: {}", len(self._ours), len(self._servers), partners)

    async def _take(self, host: ServerHost) -> None:
        """What was taken and did not come into the host is taken back: the next round begins with it anew."""
        held, servers = {*self._own, *self._lost}, self._servers
        for part in _parts([name for name in servers if name in self._ours and name not in held]):
            if servers is not self._servers:
                return
            try:
                await self._take_part(part, host)
            except BaseException:
                self._lost.update(part)
                raise

    async def _take_part(self, part: Sequence[str], host: ServerHost) -> None:
        servers = self._servers
        taken = await asyncio.gather(*(self._take_one(name) for name in part))
        names = [name for name in taken if name is not None]
        if servers is not self._servers:
            self._lost.update(names)
        elif names and self._host is not None:
            await host.acquire(names)

    async def _free_what_is_left(self) -> None:
        """Records that say it is ours though we do not hold it: the write that gave it up was lost."""
        left = [name for name, (record, _) in self._records.items() if record.session == self._session]
        left = [name for name in left if name not in self._own and name not in self._ours]
        await asyncio.gather(*(self._free(name) for name in left[:MOVED_AT_ONCE]))

    async def _free(self, server: str) -> None:
        record, revision = self._records[server]
        with suppress(ConflictError, CutOffError):
            free = record.owned_by(None, None)
            revision = await self._store.put(Dataset.SERVERS, server, free.encoded(), revision)
            self._see(Kept(server, free.encoded(), revision))

    async def _take_one(self, server: str) -> str | None:
        """Its name, if it is ours now. What was in doubt is looked at again by the next round."""
        try:
            return server if await self._write_ourselves_into(server) else None
        except CutOffError as error:
            logger.debug("{} could not be taken: {}", server, error)
            return None

    async def _write_ourselves_into(self, server: str) -> bool:
        record, revision = self._records.get(server, (FREE, 0))
        if not await self._is_free(record):
            return False
        record = record.owned_by(self._membership.node, self._session)
        try:
            revision = await self._store.put(Dataset.SERVERS, server, record.encoded(), revision)
        except ConflictError:
            kept = await self._store.get(Dataset.SERVERS, server)
            if kept is not None:
                self._see(kept)
            return False
        self._own.hold(server, record, revision)
        return True

    async def _is_free(self, record: Record) -> bool:
        """A record of our own session that we do not hold is of a write whose answer was lost."""
        if record.session is None or record.node is None or record.session == self._session:
            return True
        return await self._membership.is_over(record.node, record.session)

    async def _hand_over(self, host: ServerHost) -> None:
        leaving = [name for name in self._own if name not in self._ours and name not in host.in_flight]
        if leaving:
            await host.release(leaving[:MOVED_AT_ONCE])
            await asyncio.gather(*(self._own.release(name) for name in leaving[:MOVED_AT_ONCE]))
            self._tell(leaving[:MOVED_AT_ONCE])
            await asyncio.sleep(TICK_S)


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), ACQUIRE_BATCH):
        yield names[start : start + ACQUIRE_BATCH]
