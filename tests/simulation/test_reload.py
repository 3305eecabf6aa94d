"""The settings are read again at any moment: servers come, go and change while everything else goes wrong too.

The rules of the simulation hold all the same: nothing is sent twice, nothing in flight is forgotten, and whoever is
not changed notices nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from typing_extensions import override

from campaigns.simulation.daemon import RIGHT
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.scenario import workflows
from campaigns.simulation.world import TAIL, SimWorld, _loud_faults
from statemachine.core.vocabulary import State
from statemachine.fleet.diff import LoadedConfig
from statemachine.settings import ServerConfig, resolve_servers

PARTS, SEEDS_PER_PART = 3, 10
PAUSES_S = (1.0, 7.0, 30.0, 90.0)


class ReloadWorld(SimWorld):
    """A world whose operator edits the settings all the time, until it is quiet."""

    def __init__(self, seed: int, folder: Path) -> None:
        super().__init__(seed, folder, RIGHT, (), keep=TAIL)
        self.reloads: Counter[str] = Counter()
        self._edits = self._rng("edits")
        self._all = resolve_servers(self._scenario.settings)
        self._quiet_now = False
        self._reloading: asyncio.Task[None] | None = None

    @override
    def _start_daemon(self) -> None:
        super()._start_daemon()
        self._reloading = asyncio.create_task(self._edit_on())

    @override
    async def crash(self, away_s: float) -> None:
        """The daemon's reloading ends with it."""
        await self._stop_editing()
        await super().crash(away_s)

    @override
    async def _quiet(self) -> None:
        await super()._quiet()
        self._quiet_now = True
        assert self._reloading is not None
        await self._reloading
        for name in self.wires:  # also those that were not there a moment ago
            self.act(name, "resume")

    @override
    async def _end(self, *tasks: asyncio.Task[None]) -> None:
        await self._stop_editing()
        await super()._end(*tasks)

    async def _stop_editing(self) -> None:
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.gather(self._reloading, return_exceptions=True)

    async def _edit_on(self) -> None:
        assert self._daemon is not None
        await self._daemon.started()
        while not self._quiet_now:
            await asyncio.sleep(self._edits.choice(PAUSES_S))
            await self._reload([self._edited(config) for config in self._all if self._edits.random() < 0.8])
        await self._reload(self._all)

    def _edited(self, config: ServerConfig) -> ServerConfig:
        return replace(config, headers={"X-Edition": SecretStr(str(self._edits.randint(1, 3)))})

    async def _reload(self, servers: Sequence[ServerConfig]) -> None:
        assert self._daemon is not None
        changes = await self._daemon.fleet.apply(LoadedConfig(self._scenario.settings, servers, workflows()))
        self.note("-", "RELOADED", changes)
        for kind in ("added", "removed", "changed"):
            self.reloads[kind] += len(getattr(changes, kind))
        for name in changes.removed:
            self._invariants.ledgers[name].state = State.UNKNOWN


def live(seed: int, folder: Path) -> ReloadWorld:
    """A world of this seed, lived to its end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        world = ReloadWorld(seed, folder)
        with _loud_faults(world):
            runner.run(world.live())
        result = world.result(runner.get_loop().time())
        assert result.violation is None, "\n".join([str(result.violation), *result.trace])
        return world


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
def test_reloads_at_any_moment_break_no_rule(tmp_path: Path, part: int) -> None:
    reloads: Counter[str] = Counter()
    for seed in range(part * SEEDS_PER_PART, (part + 1) * SEEDS_PER_PART):
        (folder := tmp_path / str(seed)).mkdir()
        reloads += live(seed, folder).reloads
    assert min(reloads[kind] for kind in ("added", "removed", "changed")) > 10, reloads
