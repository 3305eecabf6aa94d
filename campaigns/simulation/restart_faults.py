"""Faults planted in restarts by a hook. The rules of `restarts` and `rollouts` must catch each of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest import mock

from campaigns.simulation.restarts import run_restart_seed
from campaigns.simulation.rollouts import run_rollout_seed
from campaigns.simulation.simulation import Result
from statemachine.core.duties import Duty
from statemachine.core.events import HookStarted, RestartRequested
from statemachine.core.messages import Message
from statemachine.core.restart import Restart, RestartAges, RestartCause, RestartStage, held_back, is_limit
from statemachine.core.vocabulary import Reason, State
from statemachine.fleet import restarting, triggers
from statemachine.fleet.context import RunningHook, ServerContext
from statemachine.fleet.runner import DUTY_CALLS

REAL_END = Restart._end

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


async def runs_hook_again(context: ServerContext) -> None:
    """Run the hook of a restart that an earlier run of the daemon has recorded."""
    pending = context.server.open_restart
    context.hook_due = pending.id if pending is not None else None
    await restarting.restart(context)


async def runs_two_hooks(context: ServerContext) -> None:
    """Start the hook twice."""
    pending = context.server.open_restart
    if pending is not None and context.hook_due == pending.id:
        again = asyncio.create_task(restarting._run_hook(context, pending))
        context.fleet.running_hooks["twice"] = RunningHook(pending.id, again)
    await restarting.restart(context)


async def starts_unrecorded(context: ServerContext, restart: Restart, mark: str | None, why: Message) -> None:
    """Start the hook without a record of it."""
    context.hook_due = restart.id
    context.post(HookStarted(restart.hook_begun(None, mark, context.fleet.clock.now()), why))


async def asks_as_operator(asking: triggers._Asking, cause: RestartCause, why: Message) -> None:
    """Request a restart that a trigger asks for in the name of an operator."""
    context = asking.context
    context.post(RestartRequested(context.fleet.clock.new_id(), RestartCause.OPERATOR, message=why))


def never_too_soon(
    latest: Restart | None, ages: RestartAges, pause_s: float, most: int, cause: RestartCause, why: Message
) -> Message | None:
    """Hold a restart back only for its limits."""
    held = held_back(latest, ages, pause_s, most, cause, why)
    return held if held is not None and is_limit(held) else None


async def has_always_turn(*_: object) -> bool:
    """Restart servers that work together."""
    return True


def never_succeeds(restart: Restart, dest: State, reason: Reason) -> RestartStage | None:
    """Leave a restart open although its server is loaded."""
    stage = REAL_END(restart, dest, reason)
    return None if stage is RestartStage.SUCCEEDED else stage


def with_restart(duty: Callable[[ServerContext], Awaitable[None]]) -> Mapping[str, Any]:
    """Return the patch that replaces the task of a server whose hook is recorded."""
    return {"statemachine.fleet.runner.DUTY_CALLS": {**DUTY_CALLS, Duty.RESTART: duty}}


RESTART_FAULTS = (
    RestartPlant("runs the hook again after a crash", 1, "hook repeated", with_restart(runs_hook_again)),
    RestartPlant("runs two hooks of a server at once", 1, "two hooks", with_restart(runs_two_hooks)),
    RestartPlant(
        "runs a hook without a record",
        1,
        "hook unrecorded",
        {"statemachine.fleet.draining._start_hook": starts_unrecorded},
    ),
    RestartPlant(
        "restarts in an operator's name",
        1,
        "hook unasked",
        {"statemachine.fleet.triggers._Asking.ask": asks_as_operator},
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
    RestartPlant("drains without end", 4, "endless restart", {"statemachine.fleet.draining._left_s": lambda *_: 1e6}),
    RestartPlant(
        "leaves a restart open while its server cannot be warmed",
        1,
        "endless restart: returned",
        {"statemachine.fleet.runner.warm_left_s": lambda *_: None},
    ),
    RestartPlant(
        "puts a server back before its restart has ended",
        2,
        "rotation",
        {"statemachine.core.restart.Restart._end": never_succeeds},
    ),
    RestartPlant(
        "takes the old process for a new one",
        2,
        "not restarted",
        {"statemachine.fleet.restarting._Return.is_back": property(lambda looks: looks.answers)},
    ),
    RestartPlant(
        "forgets the hooks of the day",
        4,
        "too many restarts",
        {"statemachine.core.restart.RestartAges.recent": lambda *_: ()},
    ),
    RestartPlant(
        "asks again without a pause", 3, "no pause", {"statemachine.fleet.triggers.held_back": never_too_soon}
    ),
    RestartPlant(
        "restarts the servers of a group together",
        1,
        "together",
        {"statemachine.fleet.triggers._Asking._has_turn": has_always_turn},
    ),
    RestartPlant(
        "restarts more servers of a group than it may",
        2,
        "max unavailable",
        {"statemachine.core.rollout_room.Room._lack": lambda *_: None},
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
