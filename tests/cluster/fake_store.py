"""An in-memory store with latency, partitions and writes in doubt, also for virtual time.

engine = FakeEngine(latency=lambda: 0.001 + random.random() * 0.004)
a, b = engine.store("a"), engine.store("b")
engine.cut("a")  # calls of `a` raise StoreUnavailableError, and what it follows waits for `engine.heal("a")`
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeVar

from typing_extensions import override

from statemachine.cluster.store import Batch, ConflictError, Dataset, SharedStore, StoredValue, StoreUnavailableError

DEDUPLICATION_S = 120.0
BATCH_SIZE = 100
LINEAGE = 4711

Result = TypeVar("Result")
OnMessage = Callable[[bytes], None]
Handler = Callable[[bytes], Awaitable[bytes]]


@dataclass
class FakeDataset:
    """The values of one dataset, in order of revision."""

    last: int = 0
    log: list[StoredValue] = field(default_factory=list)
    keys: dict[str, StoredValue] = field(default_factory=dict)
    removed: dict[str, StoredValue] = field(default_factory=dict)
    """The marker of each key that was deleted and not written since."""

    def add(self, key: str, value: bytes) -> int:
        self.last += 1
        stored = StoredValue(key, value, self.last)
        if key:
            self.keys.pop(key, None)
            self.removed.pop(key, None)
            self.keys[key] = stored
        else:
            self.log.append(stored)
        return self.last

    def remove(self, key: str) -> None:
        """Delete the key, which leaves a marker."""
        self.last += 1
        self.keys.pop(key, None)
        self.removed[key] = StoredValue(key, b"", self.last)

    def removed_above(self, revision: int) -> tuple[StoredValue, ...]:
        return tuple(stored for stored in self.removed.values() if stored.revision > revision)

    def above(self, revision: int) -> list[StoredValue]:
        newest_first = reversed(self.log) if self.log else reversed(self.keys.values())
        return [*takewhile(lambda stored: stored.revision > revision, newest_first)][::-1]


class FakeEngine:
    """The data that all nodes share.

    `latency` returns the seconds of each way. `in_doubt` is called for each write of a node that is cut off: if it
    returns True, the write is applied although the node gets no answer.
    """

    def __init__(
        self, latency: Callable[[], float] = lambda: 0.0, in_doubt: Callable[[], bool] = lambda: False
    ) -> None:
        self.latency = latency
        self.in_doubt = in_doubt
        self.lineage = LINEAGE
        self.is_up = True
        self.datasets = {dataset: FakeDataset() for dataset in Dataset}
        self.stores: dict[str, FakeStore] = {}
        self._cut: set[str] = set()
        self._numbers: dict[str, tuple[int, float]] = {}
        self._changed = asyncio.Event()

    def store(self, node: str, timeout_s: float = 2.0) -> "FakeStore":
        """Return a new connection of this node, which replaces its earlier one and that one's subscriptions."""
        self.stores[node] = FakeStore(self, node, timeout_s)
        return self.stores[node]

    def cut(self, node: str) -> None:
        self._cut.add(node)
        self.change()

    def heal(self, node: str) -> None:
        self._cut.discard(node)
        self.change()

    def down(self) -> None:
        """Cut all nodes off. The data stays."""
        self.is_up = False
        self.change()

    def up(self) -> None:
        self.is_up = True
        self.change()

    def reaches(self, node: str) -> bool:
        return self.is_up and node not in self._cut

    def trim(self, below: int) -> None:
        """Remove all entries of the log under this number."""
        log = self.datasets[Dataset.LOG]
        log.log = [stored for stored in log.log if stored.revision >= below]

    def append(self, value: bytes, message_id: str) -> int:
        now = asyncio.get_running_loop().time()
        number, at = self._numbers.get(message_id, (0, -DEDUPLICATION_S))
        if now - at >= DEDUPLICATION_S:
            number = self.datasets[Dataset.LOG].add("", value)
            self._numbers[message_id] = (number, now)
            self.change()
        return number

    def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        present, marker = self.get(bucket, key), self.datasets[bucket].removed.get(key)
        if revision not in {one.revision for one in (present, marker) if one} | (set() if present else {0}):
            raise ConflictError(f"{bucket} {key} is not at {revision}")
        number = self.datasets[bucket].add(key, value)
        self.change()
        return number

    def get(self, bucket: Dataset, key: str) -> StoredValue | None:
        return self.datasets[bucket].keys.get(key)

    def overwrite(self, bucket: Dataset, key: str, value: bytes) -> None:
        """Write at any revision, as a person may do."""
        self.datasets[bucket].add(key, value)
        self.change()

    def remove(self, bucket: Dataset, key: str) -> None:
        """Delete the key as an operator does."""
        self.datasets[bucket].remove(key)
        self.change()

    def purge(self, bucket: Dataset) -> None:
        """Remove all keys of the bucket, of which the nodes are not informed."""
        self.datasets[bucket].keys.clear()
        self.datasets[bucket].removed.clear()

    def delete(self, bucket: Dataset, key: str) -> None:
        """Delete a key, of which the nodes are not informed."""
        self.datasets[bucket].keys.pop(key, None)

    def forget(self, bucket: Dataset, key: str, revision: int) -> None:
        data = self.datasets[bucket]
        for values in (data.keys, data.removed):
            if key in values and values[key].revision <= revision:
                del values[key]

    def others(self, node: str) -> "Iterable[FakeStore]":
        return [store for name, store in self.stores.items() if name != node and self.reaches(name)]

    def change(self) -> None:
        """Wake everything that waits for a change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        await self._changed.wait()


class FakeStore(SharedStore):
    """One node's connection to the engine. Use `FakeEngine.store` to create it."""

    def __init__(self, engine: FakeEngine, node: str, timeout_s: float) -> None:
        self.node = node
        self.timeout_s = timeout_s
        self.subscribers: dict[str, list[OnMessage]] = {}
        self.handlers: dict[str, Handler] = {}
        self._engine = engine
        self._messages: deque[tuple[str, bytes]] = deque()
        self._last_message_at = 0.0
        self._responding: set[asyncio.Future[bytes]] = set()

    @property
    def connected(self) -> bool:
        return self._engine.reaches(self.node)

    @property
    @override
    def lineage(self) -> int:
        return self._engine.lineage

    @override
    async def append(self, value: bytes, message_id: str) -> int:
        return await self._write(lambda: self._engine.append(value, message_id))

    @override
    async def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        return await self._write(lambda: self._engine.put(bucket, key, value, revision))

    @override
    async def get(self, bucket: Dataset, key: str) -> StoredValue | None:
        return await self._round_trip(lambda: self._engine.get(bucket, key))

    @override
    async def forget(self, bucket: Dataset, key: str, revision: int) -> None:
        await self._write(lambda: self._engine.forget(bucket, key, revision))

    @override
    async def follow(self, dataset: Dataset, after: int = 0) -> AsyncGenerator[Batch, None]:
        has_started = False
        while True:
            await self._wait_connected()
            data = self._engine.datasets[dataset]
            stored, removed = data.above(after), data.removed_above(after)
            if has_started and not stored and not removed:
                await self._engine.changed()
                continue
            await asyncio.sleep(self._engine.latency())
            if self.connected:
                is_all, stored = len(stored) <= BATCH_SIZE, stored[:BATCH_SIZE]
                removed = removed if is_all else ()
                yield Batch(stored, is_all, removed)
                has_started, after = True, max([after, *(one.revision for one in (*stored, *removed))])

    @override
    def publish(self, subject: str, value: bytes) -> None:
        if self.connected:
            for store in self._engine.others(self.node):
                store.deliver(subject, value)

    @override
    async def subscribe(self, subject: str, on_message: OnMessage) -> None:
        self.subscribers.setdefault(subject, []).append(on_message)
        await self._round_trip(lambda: None)

    @override
    async def request(self, subject: str, value: bytes) -> bytes:
        async with self._in_time():
            await self._one_way()
            response = await self._responder(subject).handle_request(subject, value)
            await self._one_way()
            return response

    @override
    async def respond(self, subject: str, handler: Handler) -> None:
        self.handlers[subject] = handler
        await self._round_trip(lambda: None)

    def deliver(self, subject: str, value: bytes) -> None:
        """Deliver another node's message after the latency; messages keep their order."""
        loop = asyncio.get_running_loop()
        self._last_message_at = max(self._last_message_at, loop.time() + self._engine.latency())
        self._messages.append((subject, value))
        loop.call_at(self._last_message_at, self._deliver_next)

    async def handle_request(self, subject: str, value: bytes) -> bytes:
        """Run the handler to its end even if the requester gives up. A response that is cut off never arrives."""
        task = asyncio.ensure_future(self.handlers[subject](value))
        self._responding.add(task)
        task.add_done_callback(self._responding.discard)
        response = await asyncio.shield(task)
        await self._one_way()
        return response

    def _deliver_next(self) -> None:
        subject, value = self._messages.popleft()
        if self.connected:
            for on_message in self.subscribers.get(subject, ()):
                on_message(value)

    def _responder(self, subject: str) -> "FakeStore":
        for store in self._engine.others(self.node):
            if subject in store.handlers:
                return store
        raise StoreUnavailableError(f"no node responds to {subject}")

    async def _write(self, act: Callable[[], Result]) -> Result:
        if not self.connected and self._engine.is_up and self._engine.in_doubt():
            with suppress(ConflictError):
                act()
        return await self._round_trip(act)

    async def _round_trip(self, act: Callable[[], Result]) -> Result:
        async with self._in_time():
            await self._one_way()
            try:
                return act()
            finally:
                await self._one_way()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.timeout_s):
                yield
        except TimeoutError as error:
            raise StoreUnavailableError(f"{self.node} had no answer in time") from error

    async def _one_way(self) -> None:
        """Wait for the latency. A message under way when the node is cut off is lost."""
        await asyncio.sleep(self._engine.latency())
        if not self.connected:
            await asyncio.Event().wait()

    async def _wait_connected(self) -> None:
        while not self.connected:
            await self._engine.changed()
