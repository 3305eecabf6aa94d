"""The scenario of a run, drawn from its seed: the servers, their behaviour and the settings."""

from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

from campaigns.simulation.network import LATE_S
from statemachine.comfyui.workflow import Workflow, load_workflow
from statemachine.core.vocabulary import Reason
from statemachine.settings import Settings
from statemachine.simulator.profiles import PROFILES, Profile
from tests.support.paths import WORKFLOWS

BOTH = ("cache_models", "smoke")
KEYLESS = frozenset({"smoke"})

KINDS = (
    *(PROFILES[name] for name in ("loaded", "cold", "cold", "auto_executing", "auto_executing", "inspire", "slow",
                                  "trapped", "raising", "out_of_memory", "stalling", "refusing", "missing_nodes",
                                  "missing_models", "unrecognisable")),
    Profile("stock_complete", text_check="absent", inspire=False),
    Profile("stock_complete", text_check="absent", inspire=False),
    Profile("lagging", history_lag=1.5),
)  # fmt: skip

STOCK_LAGGING = Profile("stock_lagging", text_check="absent", inspire=False, history_lag=1.5)
UNLISTING = Profile("unlisting", lists_pending=False)
RESTORING = Profile("restoring", restore_after=4.0)
RARE_KINDS = (PROFILES["evicting"], PROFILES["dying"], STOCK_LAGGING, UNLISTING, RESTORING)
"""Kinds that replace a few of the servers. They are drawn apart, so that the seeds of known violations stay."""

RARE_SHARE = 0.16

COMFYUI_VERSIONS = ("0.2.2", "0.3.30", "0.3.75", "0.12.3", "0.20.3", "0.28.2", "0.33.0")
"""The versions of ComfyUI that servers imitate: the recorded ones. The first two create their own prompt ids."""

EXPECTED: dict[str, frozenset[Reason]] = {
    "auto_executing": frozenset({Reason.ALL_CACHED, Reason.SERVER_AUTO_EXECUTING}),
    "raising": frozenset({Reason.PROMPT_FAILED}),
    "out_of_memory": frozenset({Reason.OUT_OF_MEMORY}),
    "stalling": frozenset({Reason.QUEUE_STUCK, Reason.ALL_CACHED}),
    "refusing": frozenset({Reason.PROMPT_REFUSED}),
    "missing_nodes": frozenset({Reason.MISSING_NODES, Reason.PROMPT_REFUSED}),
    "missing_models": frozenset({Reason.MISSING_MODELS, Reason.PROMPT_REFUSED}),
    "unrecognisable": frozenset({Reason.CHECK_UNRECOGNISED}),
    "evicting": frozenset({Reason.ALL_CACHED}),
    "dying": frozenset({Reason.WARM_UP_ENDS_SERVER}),
}
"""Profile → reasons, one of which must be reached without faults. All others must become loaded.

A server that loads by itself may never finish: its executor can hold the nodes of dropped keys. After a garbled reply
of /object_info, missing nodes and models are reported by a refusal instead.
"""


@dataclass(frozen=True)
class Plan:
    """One server of a scenario."""

    host: str
    port: int
    profile: Profile
    workflows: tuple[str, ...]
    quality: float

    @property
    def name(self) -> str:
        """The server's name in the settings."""
        return f"{self.host}:{self.port}"

    @property
    def check_kinds(self) -> frozenset[str]:
        """The kinds of check that together decide whether this server is loaded."""
        if self.profile.companion:
            return frozenset({"node", "history"} if KEYLESS & set(self.workflows) else {"node"})
        if self.profile.text_check != "absent":
            return frozenset({"text"})
        if self.profile.inspire:
            return frozenset({"inspire", "history"} if KEYLESS & set(self.workflows) else {"inspire"})
        return frozenset({"history"})

    @property
    def checked_by_history(self) -> frozenset[str]:
        """The workflows that are checked by history."""
        by_keys = self.profile.inspire or self.profile.companion
        return KEYLESS & set(self.workflows) if by_keys else frozenset(self.workflows)

    def kind_of(self, path: str) -> str | None:
        """Return the kind of check that a request belongs to, or None."""
        paths = {
            "/inspire/cache/list": "inspire",
            f"/history?max_items={2 * len(self.workflows)}": "history",
        }
        at_path = "node" if self.profile.companion else "text"
        kind = at_path if path.startswith("/cache/check") and "peek" not in path else paths.get(path)
        return kind if kind in self.check_kinds else None

    @property
    def expected(self) -> frozenset[Reason]:
        """The reasons of which the daemon must reach one without faults."""
        return EXPECTED.get(self.profile.name, frozenset({Reason.ALL_CACHED}))


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


def scenario_of(seed: int, first: Profile | None = None) -> Scenario:
    """Return the scenario of a seed; its first server has the profile `first`, if one is given."""
    rng, rare, versions = (Random(f"{seed}/{use}") for use in ("scenario", "rare", "versions"))
    plans = tuple(_sometimes_rare(rare, drawn_plan(rng, index)) for index in range(rng.randint(3, 6)))
    if first is not None:
        plans = (replace(plans[0], profile=first), *plans[1:])
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


def drawn_plan(rng: Random, index: int) -> Plan:
    """Draw the server with this index."""
    profile = replace(rng.choice(KINDS), load_seconds=rng.choice((0.5, 4.0, 10.0)))
    both = profile.text_check == "absent" and rng.random() < 0.5
    return Plan(
        host=f"127.0.0.{rng.randint(1, 3)}",
        port=8188 + index,
        profile=profile,
        workflows=BOTH if both else BOTH[:1],
        quality=rng.choice((0.0, 0.5, 1.0, 1.0, 2.0)),
    )


def _sometimes_rare(rare: Random, plan: Plan) -> Plan:
    """Return the plan, now and then with one of the rare kinds."""
    chosen = rare.choice(RARE_KINDS)
    return replace(plan, profile=chosen, workflows=BOTH[:1]) if rare.random() < RARE_SHARE else plan


def of_any_version(plan: Plan, rng: Random) -> Plan:
    """Return the plan with a random version of ComfyUI."""
    version = rng.choice(COMFYUI_VERSIONS)
    return replace(plan, profile=replace(plan.profile, comfyui=version))


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
    return {"url": f"http://{plan.name}", "workflows": list(plan.workflows), "cache_check": {"kind": kind}}


@cache
def workflows() -> dict[str, Workflow]:
    """Return the workflows that ship with the project."""
    return {name: load_workflow(WORKFLOWS / f"{name}.json") for name in BOTH}
