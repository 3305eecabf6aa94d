"""The scenario of a run, drawn from its seed: the servers, their behaviour and the settings."""

from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, NamedTuple

from campaigns.simulation.network import LATE_S
from campaigns.simulation.plans import (
    BOTH,
    KEYLESS,
    Plan,
    drawn_plan,
    of_any_version,
    sometimes_levelled,
    sometimes_rare,
)
from statemachine.comfyui.workflow import Workflow, load_workflow
from statemachine.settings import Settings
from statemachine.simulator.profiles import Profile
from tests.support.paths import WORKFLOWS


@dataclass(frozen=True)
class Scenario:
    """One run: `adverse_s` seconds of faults, time to settle, then `calm_s` without faults."""

    plans: tuple[Plan, ...]
    settings: Settings
    adverse_s: float
    calm_s: float
    actions_every_s: float

    @property
    def settled_within_s(self) -> float:
        """Time limit for settling without faults: a few of the longest waits."""
        timing = self.settings.timing
        longest = timing.failed_retry_s + timing.warm_timeout_s + timing.busy_wait_s + timing.check_interval_s
        return 4.0 * longest + 1200.0


class FirstServer(NamedTuple):
    """What the first server of a run is, and which level of warmth the settings want there."""

    profile: Profile
    warm: str = "key"


def scenario_of(seed: int, first: FirstServer | None = None) -> Scenario:
    """Return the scenario of a seed; its first server is `first`, if one is given."""
    rng, rare, levels, versions = (Random(f"{seed}/{use}") for use in ("scenario", "rare", "levels", "versions"))
    plans = tuple(sometimes_rare(rare, drawn_plan(rng, index)) for index in range(rng.randint(3, 6)))
    plans = tuple(sometimes_levelled(levels, plan) for plan in plans)
    if first is not None:
        plans = (replace(plans[0], profile=first.profile, warm=first.warm), *plans[1:])
    plans = tuple(of_any_version(plan, versions) for plan in plans)
    settings = drawn_settings(rng, plans)
    return Scenario(
        plans=plans,
        settings=settings,
        adverse_s=rng.choice((300.0, 600.0, 1200.0)),
        calm_s=drawn_calm_s(rng, settings),
        actions_every_s=rng.choice((6.0, 20.0, 60.0)),
    )


def drawn_calm_s(rng: Random, settings: Settings) -> float:
    """Draw up to two days if checks and retries are rare, else one hour."""
    rarely = settings.timing.check_interval_s >= 300 and settings.timing.failed_retry_s >= 900
    hours = rng.choice((1.0, 12.0, 48.0)) if rarely else 1.0
    return hours * 3600.0


def drawn_settings(rng: Random, plans: tuple[Plan, ...]) -> Settings:
    """Draw the settings of a daemon over these servers."""
    return Settings.model_validate({
        "servers": [_entry(plan) for plan in plans],
        "timing": {
            "check_interval_s": rng.choice((20, 60, 300, 1800, 1800)),
            "auto_recheck_s": rng.choice((2, 5)),
            "http_timeout_s": rng.choice((5, 10)),
            "busy_wait_s": rng.choice((30, 120, 600)),
            "warm_timeout_s": rng.choice((120, 300)),
            "failed_retry_s": rng.choice((120, 900, 900)),
            "lost_grace_s": LATE_S + 3,
        },
        "limits": {"max_warming": rng.randint(1, 4), "max_warming_per_host": rng.randint(1, 2)},
        "when_busy_too_long": rng.choice(("submit", "front")),
    })  # fmt: skip


def _entry(plan: Plan) -> dict[str, Any]:
    kind = "text" if plan.profile.name == "unrecognisable" else "auto"
    workflows = [{"name": name, "warm": "key" if name in KEYLESS else plan.warm} for name in plan.workflows]
    return {"url": f"http://{plan.name}", "workflows": workflows, "cache_check": {"kind": kind}}


@cache
def workflows() -> dict[str, Workflow]:
    """Return the workflows that ship with the project."""
    return {name: load_workflow(WORKFLOWS / f"{name}.json") for name in BOTH}
