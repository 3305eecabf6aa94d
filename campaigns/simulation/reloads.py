"""Reloads of the settings during a simulation: servers come, go and change."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from pydantic import SecretStr

from campaigns.simulation.daemon import SimDaemon
from campaigns.simulation.invariants import Invariants
from campaigns.simulation.scenario import workflows
from statemachine.core.vocabulary import State
from statemachine.fleet.diff import Changes, LoadedConfig
from statemachine.settings import ServerConfig

KEPT_SHARE = 0.8
HOOKED_SHARE = 0.9


def edited(servers: Sequence[ServerConfig], rng: Random) -> list[ServerConfig]:
    """Return some of the servers, with other headers."""
    return [_with_other_headers(config, rng) for config in servers if rng.random() < KEPT_SHARE]


def sometimes_hookless(config: ServerConfig, rng: Random) -> ServerConfig:
    """Return the server, now and then without a hook."""
    if rng.random() < HOOKED_SHARE:
        return config
    return replace(config, restart=config.restart.model_copy(update={"command": None}))


def _with_other_headers(config: ServerConfig, rng: Random) -> ServerConfig:
    return replace(config, headers={"X-Edition": SecretStr(str(rng.randint(1, 3)))})


async def reload(
    daemon: SimDaemon, servers: Sequence[ServerConfig], invariants: Invariants, note: Callable[..., None]
) -> Changes:
    """Make these the daemon's servers; new settings deserve new warm-ups."""
    before = daemon.fleet.config
    changes = await daemon.fleet.apply(LoadedConfig(before.settings, servers, workflows()))
    note("-", "RELOADED", changes)
    for name in changes.removed:
        invariants.ledgers[name].state = State.UNKNOWN
    for name in (*changes.removed, *changes.changed):
        invariants.ledgers[name].failed_in_a_row = 0
    return changes
