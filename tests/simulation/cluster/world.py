"""One cluster: three nodes over one fleet and one engine, from the first fault to a calm in which all agree."""

import asyncio
import sqlite3
from collections.abc import Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from typing_extensions import override

from statemachine.cluster.records import Record
from statemachine.core.vocabulary import State
from statemachine.simulator import SimServer
from tests.simulation.book import Book, Common
from tests.simulation.cluster.agreement import Row, disagreements, is_owned_once, log_of
from tests.simulation.cluster.deeds import ClusterDeeds
from tests.simulation.cluster.engine import WatchedEngine
from tests.simulation.cluster.faults import ClusterFaults
from tests.simulation.cluster.judge import ClusterJudge
from tests.simulation.cluster.life import NodeLife
from tests.simulation.cluster.processes import ProcessLoop, outside
from tests.simulation.cluster.scenario import LEASE_S, NODES, cluster_scenario_of
from tests.simulation.cluster.seat import Seat
from tests.simulation.disk import Disk
from tests.simulation.life import RIGHT
from tests.simulation.scenario import Plan, Scenario
from tests.simulation.wire import Wire
from tests.simulation.world import EPOCH, TAIL, Result, SimWorld, run_world

AGREED_WITHIN_S = 60.0
COPIED_WITHIN_S = 10.0
SKEWS_S = (0.0, 0.0, 0.3, -0.3, 45.0, -45.0)
"""Of a host's wall clock."""


def run_cluster_seed(seed: int, *, without: Collection[StrEnum] = (), full_trace: bool = False) -> Result:
    """Live through the cluster of this seed."""
    keep = None if full_trace else TAIL
    return run_world(ProcessLoop, lambda folder: ClusterWorld(seed, folder, without, keep=keep))


class ClusterWorld(SimWorld):
    """`seats` are the nodes' places; each has wires, a disk and a judge of its own."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        without: Collection[StrEnum],
        *,
        keep: int | None,
        scenario: Scenario | None = None,
        nodes: Sequence[str] = NODES,
    ) -> None:
        super().__init__(seed, folder, RIGHT, (), keep=keep)
        self._scenario = scenario or cluster_scenario_of(seed)
        self._faults: ClusterFaults = ClusterFaults(self._rng("faults"), without)
        self._common = Common(self._books)
        self.engine = WatchedEngine(self._rng("engine"), LEASE_S, self._hear)
        self.seats = [self._seat(node, folder) for node in nodes]
        self._chosen = self._rng("chosen")
        self._log: list[Row] = []
        self._deeds: ClusterDeeds = ClusterDeeds(
            self, self._faults, self._rng("deeds"), self._scenario.deeds_every_s, self.note
        )

    def _seat(self, node: str, folder: Path) -> Seat:
        settings = self._scenario.settings
        judge = ClusterJudge(node, settings, self.accuse, self.note, self._common, self.engine, self._judges)
        disk = Disk(folder / f"{node}.sqlite3", self._rng(f"disk/{node}"), judge)
        return Seat(node, disk, judge, self._new_life)

    def _new_life(self, seat: Seat) -> NodeLife:
        skew = self._rng(f"skew/{seat.name}").choice(SKEWS_S)
        world = replace(self._world, now=lambda: self._now() + skew)
        return NodeLife(self._scenario.settings, world, self.engine, seat.disk, seat.wires, seat.judge)

    def _hear(self, server: str, record: Record) -> None:
        """A record was written. Of what its new owner knew of the server in an earlier time nothing counts."""
        self._common.hear(record)
        for seat in self.seats:
            if seat.name == record.node != self.engine.last_owner.get(server):
                book = seat.judge.books[server]
                book.state = State.UNKNOWN
                book.prompt = str(record.attempt[0]) if record.attempt is not None else book.prompt

    def _judges(self) -> Iterable[ClusterJudge]:
        return [seat.judge for seat in self.seats]

    @property
    @override
    def disks(self) -> Sequence[Disk]:
        return [seat.disk for seat in self.seats]

    @override
    def some_disk(self) -> Disk:
        return self._chosen.choice(self.disks)

    @property
    @override
    def warm_ups(self) -> int:
        return sum(judge.warm_ups.total() for judge in self._judges())

    @override
    def _books(self) -> Iterable[Book]:
        """That of each server's owner, or of its last one."""
        first = self.seats[0]
        by_name = {seat.name: seat for seat in self.seats}
        for name in first.judge.books:
            yield by_name.get(self.engine.last_owner.get(name, ""), first).judge.books[name]

    # What deeds do

    def submitter(self) -> Seat:
        """Where a submission has begun last."""
        return next((seat for seat in self.seats if seat.judge.submits), self.seats[0])

    @override
    async def crash(self, away_s: float) -> None:
        """Of the node that has just submitted, or of any."""
        seat = self.submitter() if self._chosen.random() < 0.7 else self._chosen.choice(self.seats)
        await seat.crash(away_s)

    @override
    async def next_submission(self) -> None:
        await self._common.submission.wait()

    @override
    def act(self, name: str, action: str) -> None:
        self.note(name, "operator:", action)
        self.spawn(self._act(name, action))

    async def _act(self, name: str, action: str) -> None:
        living = [seat.life for seat in self.seats if seat.life is not None and seat.lives]
        if living:
            await self._chosen.choice(living).act(name, action)

    @override
    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        task = outside(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Its course

    @override
    async def _set_up(self, plan: Plan) -> None:
        server = SimServer(plan.persona, self._rng(plan.name), clock=lambda: EPOCH + asyncio.get_running_loop().time())
        travelling: dict[str, str] = {}
        for seat in self.seats:
            wire = self._wire(plan, seat, server, travelling)
            seat.wires[plan.name] = self.wires[f"{seat.name}/{plan.name}"] = wire
            seat.judge.books[plan.name] = Book(plan, wire)
        await server.start()

    def _wire(self, plan: Plan, seat: Seat, server: SimServer, travelling: dict[str, str]) -> Wire:
        return Wire(
            plan.name,
            server,
            self._faults,
            self._rng(f"wire/{seat.name}/{plan.name}"),
            seat.judge,
            self.spawn,
            quality=plan.quality,
            timeout_s=self._scenario.settings.timing.http_timeout_s,
            travelling=travelling,
        )

    @override
    def _be_born(self) -> None:
        for seat in self.seats:
            seat.be_born()

    @override
    async def _end_lives(self) -> None:
        for seat in self.seats:
            if seat.life is not None:
                await seat.life.crash()

    @override
    async def _quiet(self) -> None:
        """No more faults; every node is there, and owns what falls to it."""
        self.note("-", "QUIET")
        self._faults.active = False
        await self._deeds.undo()
        for seat in self.seats:
            if not seat.lives:
                await self._bring_back(seat)
        await asyncio.sleep(3 * LEASE_S)
        for name in self.seats[0].wires:
            await self._resume(name)
        for judge in self._judges():
            for book in judge.books.values():
                book.reached.clear()

    async def _bring_back(self, seat: Seat) -> None:
        if seat.life is not None:
            await seat.life.crash()
        seat.be_born()

    async def _resume(self, name: str) -> None:
        for _ in range(60):
            life = self._chosen.choice(self.seats).life
            if life is not None and await life.act(name, "resume"):
                return
            await asyncio.sleep(1.0)
        self.accuse(name, "liveness: for a minute nobody carries out an operator's wish")

    @override
    def _unsettled(self) -> Iterator[Book]:
        yield from super()._unsettled()
        for book in self._books():
            if not is_owned_once(self.engine, self.seats, book.plan.name):
                yield book

    @override
    async def _settle(self) -> None:
        await super()._settle()
        left = set(disagreements(self.engine, self.seats, self._books()))
        for _ in range(int(AGREED_WITHIN_S)):
            if not left:
                return
            await asyncio.sleep(1.0)
            left &= set(disagreements(self.engine, self.seats, self._books()))
        for what in sorted(left):
            self.accuse("-", f"agreement: for {AGREED_WITHIN_S:g} s, {what}")

    @override
    async def _course(self) -> None:
        await super()._course()
        self._log = log_of(self.engine)
        await asyncio.sleep(COPIED_WITHIN_S)

    @override
    def _check_journal(self) -> None:
        """Every node's copy holds the log that all share, from its first entry; what was told stands in it."""
        log = log_of(self.engine)
        for seat in self.seats:
            with closing(sqlite3.connect(seat.disk.path)) as file:
                rows = file.execute("SELECT seq, server, dest FROM log ORDER BY seq").fetchall()
            if rows != log[: len(rows)] or len(rows) < len(self._log):
                self.accuse("-", f"rule 7: the copy of {seat.name} is not the log that all share")
            told = {(seq, *what) for seq, what in seat.judge.told.items()}
            if not told <= set(rows):
                self.accuse("-", f"rule 7: {seat.name} has told an entry that is not in its file")
