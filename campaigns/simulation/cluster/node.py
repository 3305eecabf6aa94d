"""A node of the cluster: its name, disk, wires and invariants, which outlive its processes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from campaigns.simulation.cluster.daemon import NodeDaemon
from campaigns.simulation.cluster.invariants import ClusterInvariants
from campaigns.simulation.disk import Disk
from campaigns.simulation.wire import Wire


@dataclass(eq=False)
class SimNode:
    """`new_life` makes the next process; `wires` are this host's own ways to the servers."""

    name: str
    disk: Disk
    invariants: ClusterInvariants
    new_daemon: Callable[["SimNode"], NodeDaemon]
    wires: dict[str, Wire] = field(default_factory=dict)
    daemon: NodeDaemon | None = None

    @property
    def runs(self) -> bool:
        """Whether its process runs, stopped or not."""
        return self.daemon is not None and self.daemon.runs

    def start_daemon(self) -> None:
        """A process begins."""
        self.invariants.note_of("a node starts")
        self.daemon = self.new_daemon(self)
        self.daemon.start()

    async def crash(self, away_s: float) -> None:
        """Kill the process, and start another one under the same name `away_s` later."""
        if self.daemon is not None and self.runs:
            self.invariants.note_of("CRASH")
            await self.daemon.crash()
            await self._return(away_s)

    async def leave(self, away_s: float) -> None:
        """End the process gently, and have the node join again `away_s` later."""
        if self.daemon is not None and self.runs:
            self.invariants.note_of("leaves")
            await self.daemon.leave()
            await self._return(away_s)

    async def _return(self, away_s: float) -> None:
        await asyncio.sleep(away_s)
        self.start_daemon()

    async def stand_still(self, seconds: float) -> None:
        """Stop the process, and let it go on `seconds` later."""
        if self.daemon is None or not self.runs or self.daemon.process.stopped:
            return
        process = self.daemon.process
        self.invariants.note_of("STOPPED for", round(seconds, 2))
        process.stop()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.invariants.note_of("goes on")
            process.go_on()
