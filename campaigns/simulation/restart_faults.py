"""Faults planted in restarts by a hook. The rules of `restarts` and `rollouts` must catch each of them."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest import mock

from campaigns.simulation.restarts import run_restart_seed
from campaigns.simulation.rollouts import run_rollout_seed
from campaigns.simulation.simulation import Result
from statemachine.core.restart import RestartStage
from statemachine.core.vocabulary import State

SEEDS = 60
"""Each fault must be caught within this number of seeds."""


@dataclass(frozen=True)
class RestartPlant:
    """One fault: names that are replaced during the run. `caught_by` is a part of the violation's text."""

    name: str
    seed: int
    caught_by: str
    patches: Mapping[str, Any]
    run: Callable[[int], Result] = run_restart_seed


DRAINS_AGAIN = {RestartStage.DRAINING: State.DRAINING, RestartStage.HOOK: State.DRAINING}

RESTART_FAULTS = (
    RestartPlant(
        "runs the hook again after a crash",
        1,
        "hook repeated",
        {"statemachine.fleet.recovery.RESTART_STATES": DRAINS_AGAIN},
    ),
    RestartPlant(
        "forgets the open restarts",
        1,
        "restart forgotten",
        {"statemachine.fleet.recovery._restore_restart": lambda *_: None},
    ),
    RestartPlant(
        "does not wait for the users' prompts",
        1,
        "hook over prompts",
        {"statemachine.fleet.draining._DrainLooks.is_drained": True},
    ),
    RestartPlant(
        "restarts more servers of a group than it may",
        1,
        "max unavailable",
        {"statemachine.core.rollout_step._Room._lack": lambda *_: None},
        run_rollout_seed,
    ),
    RestartPlant(
        "forgets the rolling restart at a crash",
        1,
        "run forgotten",
        {"statemachine.journal.store.JournalStore.newest_rollout": lambda _: None},
        run_rollout_seed,
    ),
)


def run_restart_plant(index: int) -> tuple[str, Result | None]:
    """Plant the fault at this index of RESTART_FAULTS; return its name and the run that catches it, if one does."""
    fault = RESTART_FAULTS[index]
    with ExitStack() as stack:
        for name, replacement in fault.patches.items():
            stack.enter_context(mock.patch(name, replacement))
        for seed in range(fault.seed, fault.seed + SEEDS):
            result = fault.run(seed)
            if result.violation is not None and fault.caught_by in result.violation:
                return fault.name, result
    return fault.name, None
