"""The time limit of a warm-up ends while its server does not answer: the limit is reported when the server is back."""

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from typing_extensions import override

from campaigns.simulation.daemon import REAL_PARTS
from campaigns.simulation.disk import Disk
from campaigns.simulation.faults import Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.ledger import ServerLedger
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.plans import Plan
from campaigns.simulation.run import run_simulation
from campaigns.simulation.scenario import Scenario
from campaigns.simulation.simulation import TAIL, Simulation
from statemachine.core.vocabulary import Reason, State
from statemachine.settings import Settings
from statemachine.simulator.profiles import PROFILES

WARM_TIMEOUT_S = 60.0
HANGING = Plan("127.0.0.1", 8188, PROFILES["stalling"], ("cache_models",), 0.0)
OTHER = Plan("127.0.0.1", 8189, replace(PROFILES["loaded"], load_seconds=1.0), ("cache_models",), 0.0)


class AwaySimulation(Simulation):
    """Two servers of one host that may warm one at a time; one hangs, and is cut off before its time limit."""

    def __init__(self, folder: Path, cut_after_s: float) -> None:
        super().__init__(1, folder, REAL_PARTS, (), keep=TAIL)
        settings = Settings.model_validate({
            "servers": [f"http://{plan.name}" for plan in (HANGING, OTHER)],
            "workflows": ["cache_models"],
            "timing": {"warm_timeout_s": WARM_TIMEOUT_S, "http_timeout_s": 5},
            "limits": {"max_warming": 1, "max_warming_per_host": 1},
        })  # fmt: skip
        self._scenario = Scenario((HANGING, OTHER), settings, adverse_s=0.0, calm_s=0.0, actions_every_s=1.0)
        self._faults = Faults(Random(1))
        self._faults.active = False
        self._invariants = Invariants(settings, self.fail, self.note)
        self.disk = Disk(folder / "journal.sqlite3", self._rng("disk"), self._invariants)
        self._cut_after_s = cut_after_s

    @property
    def hanging(self) -> ServerLedger:
        return self._invariants.ledgers[HANGING.name]

    @override
    async def _run_scenario(self) -> None:
        for plan in self._scenario.plans:
            await self._set_up(plan)
        self._start_daemon()
        await self._reach(HANGING, State.WARMING, within_s=30.0)
        wire = self.wires[HANGING.name]
        await asyncio.sleep(self._cut_after_s)
        wire.begin_outage()
        await self._reach(HANGING, State.UNREACHABLE, within_s=30.0)
        await asyncio.sleep(WARM_TIMEOUT_S)
        assert Reason.QUEUE_STUCK not in self.hanging.reached
        wire.outage = False
        self.wires[OTHER.name].server.drop_keys(keep_executor=False)
        self.act(OTHER.name, "check")
        await self._reach(HANGING, State.FAILED, within_s=30.0)
        assert Reason.QUEUE_STUCK in self.hanging.reached
        await self._reach(OTHER, State.LOADED, within_s=30.0)

    async def _reach(self, plan: Plan, state: State, *, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while self._invariants.ledgers[plan.name].state is not state:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("cut_after_s", [WARM_TIMEOUT_S - left_s for left_s in (20.0, 12.0, 8.0, 4.0, 1.0)])
def test_limit_that_ends_while_away_is_reported_later(cut_after_s: float) -> None:
    result = run_simulation(VirtualLoop, lambda folder: AwaySimulation(folder, cut_after_s))
    assert result.violation is None, "\n".join(result.trace)
    assert result.warm_ups == 2
