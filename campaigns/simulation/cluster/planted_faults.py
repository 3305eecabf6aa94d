"""Faults planted in the nodes of a cluster; each must be caught (see planted_faults.py of the simulation)."""

from campaigns.simulation.cluster import faulty_parts as faulty
from campaigns.simulation.cluster.world import run_cluster_seed
from campaigns.simulation.planted_faults import PlantedFault, planted
from campaigns.simulation.world import Result

SEEDS = 60
"""Each must be caught within so many."""

NODE = "statemachine.cluster.node."
MEMBERSHIP = "statemachine.cluster.membership."

PLANTED_FAULTS = (
    PlantedFault(
        "submits though its lease is over", 4, ("ownership",), patches={f"{NODE}LeasedOwnership": faulty.AlwaysMay}
    ),
    PlantedFault(
        "takes servers from the living",
        2,
        ("ownership", "agreement", "liveness", "budget", "rule 2"),
        patches={f"{NODE}LeasedOwnership": faulty.TakesAll},
    ),
    PlantedFault("leaves no margin and counts longer", 4, ("ownership",), patches={f"{MEMBERSHIP}MARGIN": -0.6}),
    PlantedFault(
        "writes the attempt after its POST", 1, ("rule 2",), patches={f"{NODE}SharedJournal": faulty.WritesLater}
    ),
    PlantedFault("does not share permits", 2, ("budget",), patches={f"{NODE}SharedPermits": faulty.Unshared}),
)


def hunt(index: int) -> tuple[str, Result | None]:
    """Return the name of a planted fault and the result of the cluster that caught it, or None."""
    planted_fault = PLANTED_FAULTS[index]
    with planted(planted_fault):
        for seed in (planted_fault.seed, *range(1, SEEDS)):
            result = run_cluster_seed(seed)
            if result.violation is not None and any(rule in result.violation for rule in planted_fault.caught_by):
                return planted_fault.name, result
    return planted_fault.name, None
