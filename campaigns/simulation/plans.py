"""The servers of a scenario: their kinds, versions and workflows, and what the daemon must make of each."""

from dataclasses import dataclass, replace
from random import Random

from statemachine.core.vocabulary import Reason
from statemachine.simulator.profiles import PROFILES, Profile

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
TALKING = Profile("talking", stall_after_models=2, talks_every=5.0)
RARE_KINDS = (PROFILES["evicting"], PROFILES["dying"], STOCK_LAGGING, UNLISTING, RESTORING, TALKING)
"""Kinds that replace a few of the servers. They are drawn apart, so that the seeds of known violations stay."""

RARE_SHARE = 0.16

PAGING = Profile("paging", companion=True, unload_every=400.0)
UNLOADING = Profile("unloading", companion=True, load_seconds=0.5, unload_every=30.0)
SMALL_MEMORY = Profile("small_memory", companion=True, small_memory=True)
LEVEL_KINDS = (PROFILES["node"], PROFILES["node_starting"], PAGING, PAGING, UNLOADING, SMALL_MEMORY)
"""Kinds with the companion node, which reports where the models are."""

LEVEL_SHARE = 0.2
WARM = ("key", "ram", "vram", "vram")
"""The levels that the settings want."""

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
    "talking": frozenset({Reason.QUEUE_STUCK, Reason.ALL_CACHED}),
    "unloading": frozenset({Reason.ALL_CACHED}),
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
    warm: str = "key"
    """The level that the settings want for the cache workflow's models; only the companion node shows it."""
    was_bare: bool = False
    """Whether the server had no plug-ins for a while: the daemon may check by history once more."""

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
        if self.profile.small_memory and self.warm == "vram":
            return frozenset({Reason.STILL_COLD_AFTER_SUCCESS})
        return EXPECTED.get(self.profile.name, frozenset({Reason.ALL_CACHED}))

    @property
    def stays_loaded(self) -> bool:
        """Whether the server must be loaded at the end."""
        return self.profile.name not in EXPECTED and Reason.ALL_CACHED in self.expected


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


def sometimes_rare(rare: Random, plan: Plan) -> Plan:
    """Return the plan, now and then with one of the rare kinds."""
    chosen = rare.choice(RARE_KINDS)
    return replace(plan, profile=chosen, workflows=BOTH[:1]) if rare.random() < RARE_SHARE else plan


def sometimes_levelled(rng: Random, plan: Plan) -> Plan:
    """Return the plan, now and then with the companion node and a wanted level of warmth."""
    profile, warm, both = rng.choice(LEVEL_KINDS), rng.choice(WARM), rng.random() < 0.3
    if rng.random() >= LEVEL_SHARE:
        return plan
    return replace(plan, profile=profile, workflows=BOTH if both else BOTH[:1], warm=warm)


def of_any_version(plan: Plan, rng: Random) -> Plan:
    """Return the plan with a random version of ComfyUI."""
    version = rng.choice(COMFYUI_VERSIONS)
    return replace(plan, profile=replace(plan.profile, comfyui=version))
