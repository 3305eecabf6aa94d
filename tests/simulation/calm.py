"""Simulations in which no fault happens by itself."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from campaigns.simulation.daemon import REAL_PARTS
from campaigns.simulation.disk import Disk, DiskWatcher
from campaigns.simulation.faults import Faults
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.plans import Plan
from campaigns.simulation.scenario import Scenario
from campaigns.simulation.simulation import TAIL, Simulation
from statemachine.settings import Settings


class CalmSimulation(Simulation):
    """Runs these servers with these settings; a test decides what happens."""

    def __init__(self, folder: Path, plans: Sequence[Plan], settings: Settings) -> None:
        super().__init__(1, folder, REAL_PARTS, (), keep=TAIL)
        self._scenario = Scenario(tuple(plans), settings, adverse_s=0.0, calm_s=0.0, actions_every_s=1.0)
        self._faults = Faults(Random(1))
        self._faults.active = False
        self._invariants = Invariants(settings, self.fail, self.note)
        self.disk = self._disk_with(folder, self._invariants)

    def _disk_with(self, folder: Path, watcher: DiskWatcher) -> Disk:
        return Disk(folder / "journal.sqlite3", self._rng("disk"), watcher)
