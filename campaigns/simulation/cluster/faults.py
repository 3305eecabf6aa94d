"""The kinds of faults of a cluster's nodes and engine."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from random import Random

from typing_extensions import override

from campaigns.simulation.faults import Faults


class ClusterFault(StrEnum):
    """A kind of fault that only a cluster has."""

    NODE_STOPPED = "node_stopped"
    NODE_CUT_OFF = "node_cut_off"
    NODE_BLIND = "node_blind"
    NODE_LEFT = "node_left"
    ENGINE_AWAY = "engine_away"
    ENGINE_SLOW = "engine_slow"
    VALUE_DAMAGED = "value_damaged"


C = ClusterFault

WEIGHTS = {
    C.NODE_STOPPED: 3.0, C.NODE_CUT_OFF: 2.0, C.NODE_BLIND: 1.0, C.NODE_LEFT: 1.0, C.ENGINE_AWAY: 1.0,
    C.ENGINE_SLOW: 0.7, C.VALUE_DAMAGED: 2.0,
}  # fmt: skip


class ClusterFaults(Faults):
    """The faults of one cluster."""

    def __init__(self, rng: Random, without: Collection[StrEnum] = ()) -> None:
        super().__init__(rng, without)
        drawn = {fault: weight * rng.choice((0.0, 0.5, 1.0, 2.5)) for fault, weight in WEIGHTS.items()}
        self._weights = {fault: weight for fault, weight in drawn.items() if weight and fault not in without}

    @override
    def actions(self) -> tuple[Sequence[StrEnum], Sequence[float]]:
        """Return the kinds of actions and their weights; half of all actions concern the cluster."""
        kinds, weights = super().actions()
        share = max(1.0, sum(weights)) / max(1.0, sum(self._weights.values()))
        return [*kinds, *self._weights], [*weights, *(weight * share for weight in self._weights.values())]
