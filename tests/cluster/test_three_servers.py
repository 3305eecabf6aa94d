"""Three real NATS servers, killed, frozen and restarted while two nodes write and read (`make test-cluster`)."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from statemachine.cluster.nats import NatsOptions, connected
from statemachine.cluster.store import ConflictError, Dataset, SharedStore, StoreUnavailableError
from tests.cluster.following import Follower, following, until
from tests.cluster.nats_rig import NatsRig, nats_rig

pytestmark = pytest.mark.cluster

LOG = "comfywarm_log"
WRITES = 40
"""Writes that must succeed after each fault."""
DOWN_S = 2.0
PAUSE_S = 0.01
LONGEST_S = 30.0

Role = Callable[[NatsRig], Coroutine[None, None, int]]


@dataclass
class Writer:
    """Append 0, 1, 2, … and write the same to a key; repeat each write until it is confirmed."""

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
                with suppress(StoreUnavailableError):
                    return await write()
                await asyncio.sleep(PAUSE_S)

    async def _append(self) -> None:
        await self.store.append(b"%d" % self.done, str(self.done))

    async def _count(self) -> None:
        """Write the key. It has no other writer, so a conflict means that a write in doubt was applied."""
        try:
            self.revision = await self.store.put(Dataset.SERVERS, "count", b"%d" % self.done, self.revision)
        except ConflictError as error:
            stored = await self.store.get(Dataset.SERVERS, "count")
            if stored is None or stored.revision <= self.revision:
                raise StoreUnavailableError("a leader that was frozen still answers") from error
            assert stored.value == b"%d" % self.done
            self.revision = stored.revision


@dataclass
class Workload:
    """A writer on one connection; readers of the log and of the key on another."""

    rig: NatsRig
    writer: Writer
    writing: asyncio.Task[None]
    log: Follower
    servers: Follower

    async def continue_after(self, fault: str) -> None:
        """Check that writes and reads continue; print the duration of the median and the longest write."""
        self.writer.took.clear()
        begun, so_far = time.perf_counter(), self.writer.done
        await until(lambda: self.writing.done() or self.writer.done >= so_far + WRITES)
        if self.writing.done():
            await self.writing
        wrote = time.perf_counter() - begun
        done = self.writer.done
        await until(lambda: len(self.log.stored) >= done and int(self.servers.values[-1]) >= done - 1)
        read = time.perf_counter() - begun
        took = sorted(self.writer.took)
        usual, longest = took[len(took) // 2] * 1000, took[-1]
        print(
            f"{fault}: {WRITES} writes {wrote:.2f} s, read {read:.2f} s, pair {usual:.2f} ms, longest {longest:.2f} s"
        )

    def check(self) -> None:
        """Check that nothing is missing and nothing was repeated."""
        assert self.log.values == [b"%d" % i for i in range(len(self.log.stored))]
        assert [stored.revision for stored in self.log.stored] == list(range(1, len(self.log.stored) + 1))
        counts = [int(value) for value in self.servers.values]
        assert counts == sorted(set(counts))


@asynccontextmanager
async def workload(folder: Path) -> AsyncIterator[Workload]:
    async with nats_rig(folder, servers=3) as rig:
        options = NatsOptions(urls=rig.urls)
        async with (
            connected(options) as one,
            connected(options) as two,
            following(two, Dataset.LOG) as log,
            following(two, Dataset.SERVERS) as servers,
            writing(one) as (writer, task),
        ):
            load = Workload(rig, writer, task, log, servers)
            await load.continue_after("start")
            yield load
            load.check()


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


async def test_killing_each_server_in_turn_loses_nothing(tmp_path: Path) -> None:
    async with workload(tmp_path) as load:
        for i in range(3):
            meta, log, consumer = await meta_leader(load.rig), await log_leader(load.rig), await consumer_host(load.rig)
            await load.rig.kill(i)
            await load.continue_after(
                f"killed {i} (JetStream is led by {meta}, the log by {log} and read at {consumer})"
            )
            await load.rig.start(i)
            await load.rig.ready()
            await load.continue_after(f"restarted {i}")


async def test_killing_a_leader_loses_nothing(tmp_path: Path) -> None:
    async def killed(role: Role) -> None:
        async with workload(tmp_path / role.__name__) as load:
            await load.rig.kill(await role(load.rig))
            await load.continue_after(f"killed the {role.__name__}")

    await run_together(killed(role) for role in (meta_leader, log_leader, consumer_host))


async def test_freezing_a_leader_loses_nothing(tmp_path: Path) -> None:
    async def frozen(role: Role) -> None:
        async with workload(tmp_path / role.__name__) as load:
            i = await role(load.rig)
            load.rig.pause(i)
            await load.continue_after(f"froze the {role.__name__}")
            load.rig.resume(i)
            await load.rig.ready()
            await load.continue_after("resumed it")

    await run_together(frozen(role) for role in (log_leader, key_leader, consumer_host))


async def run_together(cases: Iterable[Coroutine[None, None, None]]) -> None:
    """Run cases concurrently, each with its own servers: they mostly wait for elections."""
    async with asyncio.TaskGroup() as tasks:
        for case in cases:
            tasks.create_task(case)


async def test_rolling_restart_loses_nothing(tmp_path: Path) -> None:
    async with workload(tmp_path) as load:
        for i in range(3):
            await load.rig.stop(i)
            await load.continue_after(f"stopped {i}")
            await load.rig.start(i)
            await load.rig.ready()


async def test_restart_of_all_servers_loses_nothing(tmp_path: Path) -> None:
    async with workload(tmp_path) as load:
        await load.rig.stop_all()
        await asyncio.sleep(DOWN_S)
        begun = time.perf_counter()
        await load.rig.start_all()
        print(f"ready after {time.perf_counter() - begun:.2f} s")
        await load.continue_after("restarted all")
