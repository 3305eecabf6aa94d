"""A node of the cluster: its name, disk, wires and invariants, across its daemon processes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from campaigns.simulation.cluster.daemon import NodeDaemon
from campaigns.simulation.cluster.invariants import ClusterInvariants
from campaigns.simulation.disk import Disk
from campaigns.simulation.wire import Wire


@dataclass(eq=False)
class SimNode:
    """One node. `new_daemon` creates its next process; `wires` are its own paths to the servers."""

    name: str
    disk: Disk
    invariants: ClusterInvariants
    new_daemon: Callable[["SimNode"], NodeDaemon]
    wires: dict[str, Wire] = field(default_factory=dict)
    daemon: NodeDaemon | None = None

    @property
    def runs(self) -> bool:
        """Whether the process runs, frozen or not."""
        return self.daemon is not None and self.daemon.runs

    def start_daemon(self) -> None:
        """Start a new daemon process."""
        self.invariants.note_node("a node starts")
        self.daemon = self.new_daemon(self)
        self.daemon.start()

    async def crash(self, away_s: float) -> None:
        """Kill the process and start another one `away_s` seconds later."""
        if self.daemon is not None and self.runs:
            self.invariants.note_node("CRASH")
            await self.daemon.crash()
            await self._return(away_s)

    async def leave(self, away_s: float) -> None:
        """Stop the process gracefully and start another one `away_s` seconds later."""
        if self.daemon is not None and self.runs:
            self.invariants.note_node("leaves")
            await self.daemon.leave()
            await self._return(away_s)

    async def _return(self, away_s: float) -> None:
        await asyncio.sleep(away_s)
        self.start_daemon()

    async def freeze(self, seconds: float) -> None:
        """Freeze the process for some seconds."""
        if self.daemon is None or not self.runs or self.daemon.process.stopped:
            return
        process = self.daemon.process
        self.invariants.note_node("FROZEN for", round(seconds, 2))
        process.stop()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.invariants.note_node("continues")
            process.resume()
