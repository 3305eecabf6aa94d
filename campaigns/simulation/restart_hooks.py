"""What restart hooks do to the simulated servers, well or not."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from random import Random

from campaigns.simulation.wire import Wire
from statemachine.core.messages import verbatim
from statemachine.repair.port import HookError
from statemachine.simulator import SimServer

STOPS_AFTER_S = 0.5
TRANSIT_S = 13.0
"""Longer than any reply is on its way. A server without plug-ins is another one: no reply of it may arrive later."""

RAM_FREE = SimServer.ram_free


class HookFault(StrEnum):
    """What a hook does."""

    WELL = "hook restarts its server"
    QUICK = "hook restarts its server within an instant"
    NOTHING = "hook does nothing"
    FAILS = "hook fails"
    FAILS_LATE = "hook fails after a restart"
    HANGS = "hook hangs"
    HANGS_LATE = "hook hangs after a restart"
    ELSEWHERE = "hook restarts another server"
    ENDS = "hook ends its server for good"
    BARE = "hook brings its server back without plug-ins"


EFFECTS: Mapping[HookFault, float] = {
    HookFault.WELL: 6.0,
    HookFault.QUICK: 1.0,
    HookFault.NOTHING: 1.0,
    HookFault.FAILS: 1.0,
    HookFault.FAILS_LATE: 0.5,
    HookFault.HANGS: 0.5,
    HookFault.HANGS_LATE: 0.5,
    HookFault.ELSEWHERE: 1.0,
    HookFault.ENDS: 0.5,
    HookFault.BARE: 0.5,
}
"""How often each happens while there are faults."""

UNTOUCHED = frozenset({HookFault.NOTHING, HookFault.FAILS, HookFault.HANGS})
HANGING = frozenset({HookFault.HANGS, HookFault.HANGS_LATE})
FAILING = HANGING | {HookFault.FAILS, HookFault.FAILS_LATE}

SetPlugins = Callable[[str, bool], Awaitable[None]]
"""Bring a server's plug-ins back, or take them away (False), while its process is down."""


def drawn_effect(chance: Random, *, faulty: bool) -> HookFault:
    """Draw what a hook does; without faults it is well."""
    if not faulty:
        return HookFault.WELL
    (effect,) = chance.choices(list(EFFECTS), list(EFFECTS.values()))
    return effect


async def take_time(effect: HookFault, timeout_s: float) -> None:
    """Take as long as the hook's process. Raises HookError if it fails."""
    await asyncio.sleep(timeout_s if effect in HANGING else 1.0)
    if effect in FAILING:
        raise HookError(verbatim(effect.value))


async def affect(wires: Mapping[str, Wire], name: str, effect: HookFault, chance: Random, plugins: SetPlugins) -> None:
    """Do what the hook's process does to the servers; it goes on after the daemon's crash."""
    if effect in UNTOUCHED:
        return
    touched = chance.choice(list(wires)) if effect is HookFault.ELSEWHERE else name
    is_quick = effect is HookFault.QUICK
    await asyncio.sleep(0.0 if is_quick else STOPS_AFTER_S)
    await wires[touched].server.go_down()
    if effect is HookFault.ENDS:
        return
    await asyncio.sleep(0.0 if is_quick else chance.uniform(2.0, 60.0))
    if effect is HookFault.BARE:
        await asyncio.sleep(TRANSIT_S)
        await plugins(touched, False)
    await come_back(wires[touched])


async def come_back(wire: Wire) -> None:
    """Start the server as a new process, which needs little memory."""
    wire.server.ram_free = RAM_FREE
    await wire.server.come_back()
