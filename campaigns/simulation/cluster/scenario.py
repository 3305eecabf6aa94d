"""The scenario of a cluster, drawn from its seed."""

from random import Random

from campaigns.simulation.plans import drawn_plan, of_any_version
from campaigns.simulation.scenario import Scenario, drawn_settings

NODES = ("a", "b", "c")
LEASE_S = 5.0


def cluster_scenario_of(seed: int) -> Scenario:
    """Return the scenario of a seed. Its durations are shorter because idle nodes still cause events."""
    rng = Random(f"{seed}/cluster")
    versions = Random(f"{seed}/versions")
    plans = tuple(of_any_version(drawn_plan(rng, index), versions) for index in range(rng.randint(4, 8)))
    settings = drawn_settings(rng, plans)
    interval_s = rng.choice((20, 60, 300))
    shorter = {"check_interval_s": interval_s, "busy_wait_s": rng.choice((30, 120))}
    timing = settings.timing.model_copy(update={**shorter, "warm_timeout_s": 120, "failed_retry_s": 120})
    return Scenario(
        plans=plans,
        settings=settings.model_copy(update={"timing": timing}),
        adverse_s=rng.choice((150.0, 300.0)),
        calm_s=100.0 + interval_s,  # a restart before the link opens is found by the next check
        actions_every_s=rng.choice((4.0, 8.0, 20.0)),
    )
