"""An engine made up in memory, as hard to live with as a real one, for a loop whose time may be virtual.

engine = FakeEngine(latency=lambda: 0.001 + random.random() * 0.004)
a, b = engine.store("a"), engine.store("b")
engine.cut("a")  # what `a` asks for now ends in CutOffError, and what it follows waits for `engine.heal("a")`
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeVar

from typing_extensions import override

from statemachine.cluster.store import Batch, ConflictError, CutOffError, Dataset, Kept, SharedStore

DEDUPLICATION_S = 120.0
CHUNK = 100
LINEAGE = 4711

Result = TypeVar("Result")
Heard = Callable[[bytes], None]
Answered = Callable[[bytes], Awaitable[bytes]]


@dataclass
class FakeDataset:
    """What one dataset keeps, in order of revision."""

    last: int = 0
    log: list[Kept] = field(default_factory=list)
    keys: dict[str, Kept] = field(default_factory=dict)

    def add(self, key: str, value: bytes) -> int:
        self.last += 1
        kept = Kept(key, value, self.last)
        if key:
            self.keys.pop(key, None)
            self.keys[key] = kept
        else:
            self.log.append(kept)
        return self.last

    def above(self, revision: int) -> list[Kept]:
        newest_first = reversed(self.log) if self.log else reversed(self.keys.values())
        return [*takewhile(lambda kept: kept.revision > revision, newest_first)][::-1]


class FakeEngine:
    """What all nodes share.

    `latency` gives the seconds of one way, asked anew each time. `in_doubt` is asked at each write of a node that is
    cut off: True lets the write be done, though the node never hears of it.
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
        """What this node has of the engine from now on; what an earlier life of it heard and answered is forgotten."""
        self.stores[node] = FakeStore(self, node, timeout_s)
        return self.stores[node]

    def cut(self, node: str) -> None:
        self._cut.add(node)
        self.change()

    def heal(self, node: str) -> None:
        self._cut.discard(node)
        self.change()

    def down(self) -> None:
        """Nobody reaches it; it forgets nothing."""
        self.is_up = False
        self.change()

    def up(self) -> None:
        self.is_up = True
        self.change()

    def reaches(self, node: str) -> bool:
        return self.is_up and node not in self._cut

    def trim(self, below: int) -> None:
        """The log forgets all entries under this number."""
        log = self.datasets[Dataset.LOG]
        log.log = [kept for kept in log.log if kept.revision >= below]

    def append(self, value: bytes, message_id: str) -> int:
        now = asyncio.get_running_loop().time()
        number, at = self._numbers.get(message_id, (0, -DEDUPLICATION_S))
        if now - at >= DEDUPLICATION_S:
            number = self.datasets[Dataset.LOG].add("", value)
            self._numbers[message_id] = (number, now)
            self.change()
        return number

    def put(self, bucket: Dataset, key: str, value: bytes, revision: int) -> int:
        present = self.get(bucket, key)
        if (present.revision if present else 0) != revision:
            raise ConflictError(f"{bucket} {key} is not at {revision}")
        number = self.datasets[bucket].add(key, value)
        self.change()
        return number

    def get(self, bucket: Dataset, key: str) -> Kept | None:
        return self.datasets[bucket].keys.get(key)

    def others(self, node: str) -> "Iterable[FakeStore]":
        return [store for name, store in self.stores.items() if name != node and self.reaches(name)]

    def change(self) -> None:
        """Wake whoever waits for something to be different."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        await self._changed.wait()


class FakeStore(SharedStore):
    """One node's side of the engine. Made by `FakeEngine.store`."""

    def __init__(self, engine: FakeEngine, node: str, timeout_s: float) -> None:
        self.node = node
        self.timeout_s = timeout_s
        self.heard: dict[str, list[Heard]] = {}
        self.answered: dict[str, Answered] = {}
        self._engine = engine
        self._words: deque[tuple[str, bytes]] = deque()
        self._last_word_at = 0.0
        self._answering: set[asyncio.Future[bytes]] = set()

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
    async def get(self, bucket: Dataset, key: str) -> Kept | None:
        return await self._there_and_back(lambda: self._engine.get(bucket, key))

    @override
    async def follow(self, dataset: Dataset, after: int = 0) -> AsyncGenerator[Batch, None]:
        has_begun = False
        while True:
            await self._until_connected()
            kept = self._engine.datasets[dataset].above(after)
            if has_begun and not kept:
                await self._engine.changed()
                continue
            await asyncio.sleep(self._engine.latency())
            if self.connected:
                yield Batch(kept[:CHUNK], len(kept) <= CHUNK)
                has_begun, after = True, kept[:CHUNK][-1].revision if kept else after

    @override
    def tell(self, subject: str, value: bytes) -> None:
        if self.connected:
            for store in self._engine.others(self.node):
                store.send(subject, value)

    @override
    async def hear(self, subject: str, heard: Heard) -> None:
        self.heard.setdefault(subject, []).append(heard)
        await self._there_and_back(lambda: None)

    @override
    async def ask(self, subject: str, value: bytes) -> bytes:
        async with self._in_time():
            await self._on_the_way()
            answer = await self._whom(subject).be_asked(subject, value)
            await self._on_the_way()
            return answer

    @override
    async def answer(self, subject: str, answered: Answered) -> None:
        self.answered[subject] = answered
        await self._there_and_back(lambda: None)

    def send(self, subject: str, value: bytes) -> None:
        """Another node's word, on its way to this one; words do not overtake each other."""
        loop = asyncio.get_running_loop()
        self._last_word_at = max(self._last_word_at, loop.time() + self._engine.latency())
        self._words.append((subject, value))
        loop.call_at(self._last_word_at, self._hear_next)

    async def be_asked(self, subject: str, value: bytes) -> bytes:
        """Goes on answering though whoever asked has given up; an answer that is cut off never comes."""
        task = asyncio.ensure_future(self.answered[subject](value))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
        answer = await asyncio.shield(task)
        await self._on_the_way()
        return answer

    def _hear_next(self) -> None:
        subject, value = self._words.popleft()
        if self.connected:
            for heard in self.heard.get(subject, ()):
                heard(value)

    def _whom(self, subject: str) -> "FakeStore":
        for store in self._engine.others(self.node):
            if subject in store.answered:
                return store
        raise CutOffError(f"nobody answers {subject}")

    async def _write(self, act: Callable[[], Result]) -> Result:
        if not self.connected and self._engine.is_up and self._engine.in_doubt():
            with suppress(ConflictError):
                act()
        return await self._there_and_back(act)

    async def _there_and_back(self, act: Callable[[], Result]) -> Result:
        async with self._in_time():
            await self._on_the_way()
            try:
                return act()
            finally:
                await self._on_the_way()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.timeout_s):
                yield
        except TimeoutError as error:
            raise CutOffError(f"{self.node} had no answer in time") from error

    async def _on_the_way(self) -> None:
        """One way. What is on its way when the node is cut off is lost."""
        await asyncio.sleep(self._engine.latency())
        if not self.connected:
            await asyncio.Event().wait()

    async def _until_connected(self) -> None:
        while not self.connected:
            await self._engine.changed()
