"""Faults planted in the nodes of a cluster. The invariants must catch each of them."""

from campaigns.simulation.cluster import faulty_parts as faulty
from campaigns.simulation.cluster.simulation import run_cluster_seed
from campaigns.simulation.planted_faults import PlantedFault, planted
from campaigns.simulation.simulation import Result

SEEDS = 60
"""Each fault must be caught within this number of seeds."""

NODE = "statemachine.cluster.node."
MEMBERSHIP = "statemachine.cluster.membership."
PERMITS = "statemachine.cluster.permits."
DAMAGE = "statemachine.cluster.ledger_damage."

PLANTED_FAULTS = (
    PlantedFault(
        "submits after its lease has expired",
        3,
        ("ownership",),
        patches={f"{NODE}LeasedOwnership": faulty.IgnoresLease},
    ),
    PlantedFault(
        "acquires servers of running nodes",
        1,
        ("ownership", "agreement", "liveness", "budget", "duplicate warm-up"),
        patches={f"{NODE}LeasedOwnership": faulty.AcquiresOwnedServers},
    ),
    PlantedFault("assumes a longer lease", 7, ("ownership",), patches={f"{MEMBERSHIP}MARGIN": -0.6}),
    PlantedFault(
        "writes the attempt after its POST",
        1,
        ("duplicate warm-up",),
        patches={f"{NODE}SharedJournal": faulty.WritesLater},
    ),
    PlantedFault(
        "takes a lease that cannot be read for ended",
        1,
        ("ownership", "agreement", "liveness", "duplicate warm-up"),
        patches={f"{MEMBERSHIP}LeaseFollower": faulty.BelievesGarbage},
    ),
    PlantedFault(
        "takes permits that vanish for released",
        22,
        ("budget",),
        patches={f"{PERMITS}VanishedPermits": faulty.ForgetsVanished, f"{DAMAGE}SETTLE_S": 0.0},
    ),
    PlantedFault(
        "takes permits of frozen nodes for released",
        56,
        ("budget",),
        patches={"statemachine.cluster.holders.RENEWALS": 0},
    ),
    PlantedFault("does not share permits", 2, ("budget",), patches={f"{NODE}SharedPermits": faulty.LocalPermits}),
)


def run_planted_fault(index: int) -> tuple[str, Result | None]:
    """Return the name of a planted fault and the result of the cluster that caught it, or None."""
    planted_fault = PLANTED_FAULTS[index]
    with planted(planted_fault):
        for seed in (planted_fault.seed, *range(1, SEEDS)):
            result = run_cluster_seed(seed)
            if result.violation is not None and any(rule in result.violation for rule in planted_fault.caught_by):
                return planted_fault.name, result
    return planted_fault.name, None
