"""Faults planted in the nodes of a cluster; each must be caught (see the mutants of one daemon)."""

from tests.simulation.cluster import wrong_parts as wrong
from tests.simulation.cluster.world import run_cluster_seed
from tests.simulation.mutants import Mutant, planted
from tests.simulation.world import Result

SEEDS = 60
"""Each must be caught within so many."""

NODE = "statemachine.cluster.node."
MEMBERSHIP = "statemachine.cluster.membership."

MUTANTS = (
    Mutant("submits though its lease is over", 4, ("ownership",), patches={f"{NODE}LeasedOwnership": wrong.AlwaysMay}),
    Mutant("takes servers from the living", 2, ("ownership", "agreement", "liveness", "budget", "rule 2"),
           patches={f"{NODE}LeasedOwnership": wrong.TakesAll}),
    Mutant("leaves no margin and counts longer", 4, ("ownership",), patches={f"{MEMBERSHIP}MARGIN": -0.6}),
    Mutant("writes the attempt after its POST", 1, ("rule 2",), patches={f"{NODE}SharedJournal": wrong.WritesLater}),
    Mutant("does not share permits", 2, ("budget",), patches={f"{NODE}SharedPermits": wrong.Unshared}),
)  # fmt: skip


def hunt(index: int) -> tuple[str, Result | None]:
    """The cluster that caught the mutant of this number, None if it survived all of them."""
    mutant = MUTANTS[index]
    with planted(mutant):
        for seed in (mutant.seed, *range(1, SEEDS)):
            result = run_cluster_seed(seed)
            if result.violation is not None and any(rule in result.violation for rule in mutant.caught_by):
                return mutant.name, result
    return mutant.name, None
