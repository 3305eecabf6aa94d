"""Three real NATS servers that die, freeze and come back while two nodes write and read. `make test-cluster`."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from statemachine.cluster.nats import NatsOptions, connected
from statemachine.cluster.store import ConflictError, CutOffError, Dataset, SharedStore
from tests.cluster.following import Follower, following, until
from tests.cluster.nats_rig import NatsRig, nats_rig

pytestmark = pytest.mark.cluster

LOG = "comfywarm_log"
MORE = 40
"""Writes that must come through after each fault."""
DOWN_S = 2.0
PAUSE_S = 0.01
LONGEST_S = 30.0

Role = Callable[[NatsRig], Coroutine[None, None, int]]


@dataclass
class Writer:
    """Appends 0, 1, 2, … and counts the same up in a key; each write is tried until it is known to be done."""

    store: SharedStore
    done: int = 0
    revision: int = 0
    took: list[float] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            begun = time.perf_counter()
            await self._until_done(self._append)
            await self._until_done(self._count)
            self.took.append(time.perf_counter() - begun)
            self.done += 1
            await asyncio.sleep(PAUSE_S)

    async def _until_done(self, write: Callable[[], Awaitable[None]]) -> None:
        async with asyncio.timeout(LONGEST_S):
            while True:
                with suppress(CutOffError):
                    return await write()
                await asyncio.sleep(PAUSE_S)

    async def _append(self) -> None:
        await self.store.append(b"%d" % self.done, str(self.done))

    async def _count(self) -> None:
        """Nobody else writes it: a conflict is with a write of ours that was in doubt, and was done."""
        try:
            self.revision = await self.store.put(Dataset.SERVERS, "count", b"%d" % self.done, self.revision)
        except ConflictError as error:
            kept = await self.store.get(Dataset.SERVERS, "count")
            if kept is None or kept.revision <= self.revision:
                raise CutOffError("a frozen leader goes on, for a moment") from error
            assert kept.value == b"%d" % self.done
            self.revision = kept.revision


@dataclass
class Show:
    """A writer on one connection; readers of the log and of the key on another."""

    rig: NatsRig
    writer: Writer
    writing: asyncio.Task[None]
    log: Follower
    servers: Follower

    async def goes_on(self, what: str) -> None:
        """More is written, all of it is read; says how long the longest write took, and each usually."""
        self.writer.took.clear()
        begun, so_far = time.perf_counter(), self.writer.done
        await until(lambda: self.writing.done() or self.writer.done >= so_far + MORE)
        if self.writing.done():
            await self.writing
        wrote = time.perf_counter() - begun
        done = self.writer.done
        await until(lambda: len(self.log.kept) >= done and int(self.servers.values[-1]) >= done - 1)
        read = time.perf_counter() - begun
        took = sorted(self.writer.took)
        usual, longest = took[len(took) // 2] * 1000, took[-1]
        print(f"{what}: {MORE} writes {wrote:.2f} s, read {read:.2f} s, pair {usual:.2f} ms, longest {longest:.2f} s")

    def check(self) -> None:
        """Nothing was left out, nothing came twice."""
        assert self.log.values == [b"%d" % i for i in range(len(self.log.kept))]
        assert [kept.revision for kept in self.log.kept] == list(range(1, len(self.log.kept) + 1))
        counts = [int(value) for value in self.servers.values]
        assert counts == sorted(set(counts))


@asynccontextmanager
async def show(folder: Path) -> AsyncIterator[Show]:
    async with nats_rig(folder, servers=3) as rig:
        options = NatsOptions(urls=rig.urls)
        async with (
            connected(options) as one,
            connected(options) as two,
            following(two, Dataset.LOG) as log,
            following(two, Dataset.SERVERS) as servers,
            writing(one) as (writer, task),
        ):
            show = Show(rig, writer, task, log, servers)
            await show.goes_on("at rest")
            yield show
            show.check()


@asynccontextmanager
async def writing(store: SharedStore) -> AsyncIterator[tuple[Writer, asyncio.Task[None]]]:
    writer = Writer(store)
    task = asyncio.get_running_loop().create_task(writer.run())
    try:
        yield writer, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def meta_leader(rig: NatsRig) -> int:
    return await rig.meta_leader()


async def log_leader(rig: NatsRig) -> int:
    return await rig.leader(LOG)


async def key_leader(rig: NatsRig) -> int:
    return await rig.leader("KV_comfywarm_servers")


async def consumer_host(rig: NatsRig) -> int:
    return await rig.consumer_host(LOG)


async def test_each_is_killed_in_turn(tmp_path: Path) -> None:
    async with show(tmp_path) as on:
        for i in range(3):
            meta, log, consumer = await meta_leader(on.rig), await log_leader(on.rig), await consumer_host(on.rig)
            await on.rig.kill(i)
            await on.goes_on(f"killed {i} (JetStream is led by {meta}, the log by {log} and read at {consumer})")
            await on.rig.start(i)
            await on.rig.ready()
            await on.goes_on(f"{i} is back")


async def test_whoever_has_a_part_is_killed(tmp_path: Path) -> None:
    async def killed(role: Role) -> None:
        async with show(tmp_path / role.__name__) as on:
            await on.rig.kill(await role(on.rig))
            await on.goes_on(f"killed the {role.__name__}")

    await at_once(killed(role) for role in (meta_leader, log_leader, consumer_host))


async def test_whoever_has_a_part_freezes(tmp_path: Path) -> None:
    async def frozen(role: Role) -> None:
        async with show(tmp_path / role.__name__) as on:
            i = await role(on.rig)
            on.rig.pause(i)
            await on.goes_on(f"froze the {role.__name__}")
            on.rig.resume(i)
            await on.rig.ready()
            await on.goes_on("it goes on")

    await at_once(frozen(role) for role in (log_leader, key_leader, consumer_host))


async def at_once(scenes: Iterable[Coroutine[None, None, None]]) -> None:
    """Each over servers of its own: nearly all of it is waiting for elections."""
    async with asyncio.TaskGroup() as tasks:
        for scene in scenes:
            tasks.create_task(scene)


async def test_one_after_the_other_is_restarted_gently(tmp_path: Path) -> None:
    async with show(tmp_path) as on:
        for i in range(3):
            await on.rig.stop(i)
            await on.goes_on(f"stopped {i}")
            await on.rig.start(i)
            await on.rig.ready()


async def test_all_are_away_for_a_while(tmp_path: Path) -> None:
    async with show(tmp_path) as on:
        await on.rig.stop_all()
        await asyncio.sleep(DOWN_S)
        begun = time.perf_counter()
        await on.rig.start_all()
        print(f"ready after {time.perf_counter() - begun:.2f} s")
        await on.goes_on("all are back")
