"""One run of a cluster: three nodes over one fleet and one engine, with faults and then without."""

import asyncio
import sqlite3
from collections.abc import Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from typing_extensions import override

from campaigns.simulation.cluster.actions import ClusterActions
from campaigns.simulation.cluster.agreement import Row, disagreements, is_owned_once, log_of
from campaigns.simulation.cluster.daemon import NodeDaemon
from campaigns.simulation.cluster.engine import WatchedEngine
from campaigns.simulation.cluster.faults import ClusterFaults
from campaigns.simulation.cluster.invariants import ClusterInvariants
from campaigns.simulation.cluster.node import SimNode
from campaigns.simulation.cluster.processes import ProcessLoop, outside
from campaigns.simulation.cluster.scenario import LEASE_S, NODES, cluster_scenario_of
from campaigns.simulation.daemon import REAL_PARTS
from campaigns.simulation.disk import Disk
from campaigns.simulation.ledger import ServerLedger, SharedLedger
from campaigns.simulation.plans import Plan
from campaigns.simulation.run import run_simulation
from campaigns.simulation.scenario import Scenario
from campaigns.simulation.simulation import EPOCH, TAIL, Result, Simulation
from campaigns.simulation.wire import Wire
from statemachine.cluster.records import Record
from statemachine.core.vocabulary import State
from statemachine.simulator import SimServer

AGREED_WITHIN_S = 60.0
COPIED_WITHIN_S = 10.0
SKEWS_S = (0.0, 0.0, 0.3, -0.3, 45.0, -45.0)
"""Offsets of the hosts' wall clocks."""


def run_cluster_seed(seed: int, *, without: Collection[StrEnum] = (), full_trace: bool = False) -> Result:
    """Run the cluster of one seed."""
    keep = None if full_trace else TAIL
    return run_simulation(ProcessLoop, lambda folder: ClusterSimulation(seed, folder, without, keep=keep))


class ClusterSimulation(Simulation):
    """A simulation in which each of `nodes` has its own wires, disk and invariants."""

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
        super().__init__(seed, folder, REAL_PARTS, (), keep=keep)
        self._scenario = scenario or cluster_scenario_of(seed)
        self._faults: ClusterFaults = ClusterFaults(self._rng("faults"), without)
        self._shared_ledger = SharedLedger(self._ledgers)
        self.engine = WatchedEngine(self._rng("engine"), LEASE_S, self._on_record)
        self.nodes = [self._node(node, folder) for node in nodes]
        self._chosen = self._rng("chosen")
        self._log: list[Row] = []
        self._actions: ClusterActions = ClusterActions(
            # The name seeds the stream: with another one the seeds of known violations would change.
            self,
            self._faults,
            self._rng("actions"),
            self._scenario.actions_every_s,
            self.note,
        )

    def _node(self, node: str, folder: Path) -> SimNode:
        settings = self._scenario.settings
        invariants = ClusterInvariants(
            node, settings, self.fail, self.note, self._shared_ledger, self.engine, self._all_invariants
        )
        disk = Disk(folder / f"{node}.sqlite3", self._rng(f"disk/{node}"), invariants)
        return SimNode(node, disk, invariants, self._new_daemon)

    def _new_daemon(self, node: SimNode) -> NodeDaemon:
        skew = self._rng(f"skew/{node.name}").choice(SKEWS_S)
        clock = replace(self._clock, now=lambda: self._now() + skew)
        return NodeDaemon(self._scenario.settings, clock, self.engine, node.disk, node.wires, node.invariants)

    def _on_record(self, server: str, record: Record) -> None:
        """Check who owns the server now, and reset the ledger of a new owner."""
        if why := self.engine.takeover_error(server, record):
            self.fail(server, f"ownership: {why}")
        self._shared_ledger.record_written(record)
        for node in self.nodes:
            if node.name == record.node != self.engine.last_owner.get(server):
                ledger = node.invariants.ledgers[server]
                ledger.state = State.UNKNOWN
                ledger.prompt = str(record.attempt[0]) if record.attempt is not None else ledger.prompt

    def _all_invariants(self) -> Iterable[ClusterInvariants]:
        return [node.invariants for node in self.nodes]

    @property
    @override
    def disks(self) -> Sequence[Disk]:
        return [node.disk for node in self.nodes]

    @override
    def some_disk(self) -> Disk:
        return self._chosen.choice(self.disks)

    @property
    @override
    def warm_ups(self) -> int:
        return sum(invariants.warm_ups.total() for invariants in self._all_invariants())

    @override
    def _ledgers(self) -> Iterable[ServerLedger]:
        """Yield each server's ledger at its current or last owner."""
        first = self.nodes[0]
        by_name = {node.name: node for node in self.nodes}
        for name in first.invariants.ledgers:
            yield by_name.get(self.engine.last_owner.get(name, ""), first).invariants.ledgers[name]

    # Called by the actions

    def submitter(self) -> SimNode:
        """Return the node that was the last to start a submission."""
        return next((node for node in self.nodes if node.invariants.submitted_last), self.nodes[0])

    @override
    async def crash(self, away_s: float) -> None:
        """Crash the node that has just submitted, or a random one."""
        node = self.submitter() if self._chosen.random() < 0.7 else self._chosen.choice(self.nodes)
        await node.crash(away_s)

    @override
    async def next_submission(self) -> None:
        await self._shared_ledger.submission.wait()

    @override
    def act(self, name: str, action: str) -> None:
        self.note(name, "operator:", action)
        for node in self.nodes if action == "warm" else ():
            node.invariants.ledgers[name].forget_failures()
        self.spawn(self._act(name, action))

    async def _act(self, name: str, action: str) -> None:
        running = [node.daemon for node in self.nodes if node.daemon is not None and node.runs]
        if running:
            await self._chosen.choice(running).act(name, action)

    @override
    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = outside(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # The run

    @override
    async def _set_up(self, plan: Plan) -> None:
        server = SimServer(plan.profile, self._rng(plan.name), clock=lambda: EPOCH + asyncio.get_running_loop().time())
        in_transit: dict[str, str] = {}
        for node in self.nodes:
            wire = self._wire(plan, node, server, in_transit)
            node.wires[plan.name] = self.wires[f"{node.name}/{plan.name}"] = wire
            node.invariants.ledgers[plan.name] = ServerLedger(plan, wire)
        await server.start()

    def _wire(self, plan: Plan, node: SimNode, server: SimServer, in_transit: dict[str, str]) -> Wire:
        return Wire(
            plan.name,
            server,
            self._faults,
            self._rng(f"wire/{node.name}/{plan.name}"),
            node.invariants,
            self.spawn,
            quality=plan.quality,
            timeout_s=self._scenario.settings.timing.http_timeout_s,
            in_transit=in_transit,
        )

    @override
    def _start_daemon(self) -> None:
        for node in self.nodes:
            node.start_daemon()

    @override
    async def _stop_daemons(self) -> None:
        for node in self.nodes:
            if node.daemon is not None:
                await node.daemon.crash()

    @override
    async def _stop_faults(self) -> None:
        """Stop all faults and start every node that is down."""
        self.note("-", "FAULTS END")
        self._faults.active = False
        await self._actions.undo()
        for node in self.nodes:
            if not node.runs:
                await self._bring_back(node)
        await asyncio.sleep(3 * LEASE_S)
        for name in self.nodes[0].wires:
            await self._resume(name)
        for invariants in self._all_invariants():
            for ledger in invariants.ledgers.values():
                ledger.reached.clear()

    async def _bring_back(self, node: SimNode) -> None:
        if node.daemon is not None:
            await node.daemon.crash()
        node.start_daemon()

    async def _resume(self, name: str) -> None:
        for _ in range(60):
            daemon = self._chosen.choice(self.nodes).daemon
            if daemon is not None and await daemon.act(name, "resume"):
                return
            await asyncio.sleep(1.0)
        self.fail(name, "liveness: no node carried out an operator's action within a minute")

    @override
    def _unsettled(self) -> Iterator[ServerLedger]:
        yield from super()._unsettled()
        for ledger in self._ledgers():
            if not is_owned_once(self.engine, self.nodes, ledger.plan.name):
                yield ledger

    @override
    async def _settle(self) -> None:
        await super()._settle()
        left = set(disagreements(self.engine, self.nodes, self._ledgers()))
        for _ in range(int(AGREED_WITHIN_S)):
            if not left:
                return
            await asyncio.sleep(1.0)
            left &= set(disagreements(self.engine, self.nodes, self._ledgers()))
        for what in sorted(left):
            self.fail("-", f"agreement: for {AGREED_WITHIN_S:g} s, {what}")

    @override
    async def _run_scenario(self) -> None:
        await super()._run_scenario()
        self._log = log_of(self.engine)
        await asyncio.sleep(COPIED_WITHIN_S)

    @override
    def _check_journal(self) -> None:
        """Check that every node's copy equals the shared log and has every published entry."""
        log = log_of(self.engine)
        for node in self.nodes:
            with closing(sqlite3.connect(node.disk.path)) as file:
                rows = file.execute("SELECT seq, server, dest FROM log ORDER BY seq").fetchall()
            if rows != log[: len(rows)] or len(rows) < len(self._log):
                self.fail("-", f"log ids: the copy of {node.name} differs from the shared log")
            published = {(seq, *what) for seq, what in node.invariants.published.items()}
            if not published <= set(rows):
                self.fail("-", f"log ids: {node.name} published an entry that is not in its file")
