"""Reloads at any moment: servers are added, removed and changed while all other faults happen.

The invariants hold: no duplicate prompts, no lost attempts, and no effect on unchanged servers.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from typing_extensions import override

from campaigns.simulation.daemon import REAL_PARTS
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.reloads import edited, reload
from campaigns.simulation.run import fail_on_logged_errors
from campaigns.simulation.simulation import TAIL, Simulation
from statemachine.settings import ServerConfig, resolve_servers

SEEDS = 8
PAUSES_S = (1.0, 7.0, 30.0, 90.0)


class ReloadSimulation(Simulation):
    """A simulation whose operator keeps editing the settings until the faults end."""

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed, folder, REAL_PARTS, (), keep=TAIL)
        self.reloads: Counter[str] = Counter()
        self._edits = self._rng("edits")
        self._all = resolve_servers(self._scenario.settings)
        self._editing_ended = False
        self._reloading: asyncio.Task[None] | None = None

    @override
    def _start_daemon(self) -> None:
        super()._start_daemon()
        self._reloading = asyncio.create_task(self._keep_editing())

    @override
    async def crash(self, away_s: float) -> None:
        """Crash the daemon and stop its reloads."""
        await self._stop_editing()
        await super().crash(away_s)

    @override
    async def _stop_faults(self) -> None:
        await super()._stop_faults()
        self._editing_ended = True
        assert self._reloading is not None
        await self._reloading
        for name in self.wires:  # includes servers that were just added
            self.act(name, "resume")

    @override
    async def _clean_up(self, *tasks: asyncio.Task[None]) -> None:
        await self._stop_editing()
        await super()._clean_up(*tasks)

    async def _stop_editing(self) -> None:
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.gather(self._reloading, return_exceptions=True)

    async def _keep_editing(self) -> None:
        assert self._daemon is not None
        await self._daemon.started()
        while not self._editing_ended:
            await asyncio.sleep(self._edits.choice(PAUSES_S))
            await self._reload(edited(self._all, self._edits))
        await self._reload(self._all)

    async def _reload(self, servers: Sequence[ServerConfig]) -> None:
        assert self._daemon is not None
        changes = await reload(self._daemon, servers, self._invariants, self.note)
        for kind in ("added", "removed", "changed"):
            self.reloads[kind] += len(getattr(changes, kind))


def run(seed: int, folder: Path) -> ReloadSimulation:
    """Run the simulation of a seed; fail on a violation."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        simulation = ReloadSimulation(seed, folder)
        with fail_on_logged_errors(simulation):
            runner.run(simulation.run())
        result = simulation.result(runner.get_loop().time())
        assert result.violation is None, "\n".join([str(result.violation), *result.trace])
        return simulation


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_reloads_at_any_moment_cause_no_violation(tmp_path: Path) -> None:
    reloads: Counter[str] = Counter()
    for seed in range(SEEDS):
        (folder := tmp_path / str(seed)).mkdir()
        reloads += run(seed, folder).reloads
    assert min(reloads[kind] for kind in ("added", "removed", "changed")) > 10, reloads
