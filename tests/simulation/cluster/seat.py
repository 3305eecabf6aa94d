"""A node's place in the cluster: its name, disk, wires and judge, which outlive its processes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation.cluster.judge import ClusterJudge
from tests.simulation.cluster.life import NodeLife
from tests.simulation.disk import Disk
from tests.simulation.wire import Wire


@dataclass(eq=False)
class Seat:
    """`new_life` makes the next process; `wires` are this host's own ways to the servers."""

    name: str
    disk: Disk
    judge: ClusterJudge
    new_life: Callable[["Seat"], NodeLife]
    wires: dict[str, Wire] = field(default_factory=dict)
    life: NodeLife | None = None

    @property
    def lives(self) -> bool:
        """Whether its process runs, stopped or not."""
        return self.life is not None and self.life.lives

    def be_born(self) -> None:
        """A process begins."""
        self.judge.note_of("a node starts")
        self.life = self.new_life(self)
        self.life.start()

    async def crash(self, away_s: float) -> None:
        """Kill the process, and start another one under the same name `away_s` later."""
        if self.life is not None and self.lives:
            self.judge.note_of("CRASH")
            await self.life.crash()
            await self._return(away_s)

    async def leave(self, away_s: float) -> None:
        """End the process gently, and have the node join again `away_s` later."""
        if self.life is not None and self.lives:
            self.judge.note_of("leaves")
            await self.life.leave()
            await self._return(away_s)

    async def _return(self, away_s: float) -> None:
        await asyncio.sleep(away_s)
        self.be_born()

    async def stand_still(self, seconds: float) -> None:
        """Stop the process, and let it go on `seconds` later."""
        if self.life is None or not self.lives or self.life.process.stopped:
            return
        process = self.life.process
        self.judge.note_of("STOPPED for", round(seconds, 2))
        process.stop()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.judge.note_of("goes on")
            process.go_on()
