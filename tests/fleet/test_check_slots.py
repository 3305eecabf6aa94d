"""Slots for checks in virtual time: slow servers do not keep fast ones waiting."""

import asyncio

from campaigns.simulation.loop import VirtualLoop
from statemachine.fleet.check_slots import SLOW_S, CheckSlots, Pace

SLOTS = 64
SLOW_SERVERS = 70
TIMEOUT_S = 10.0


async def wait_of_fast_servers() -> list[float]:
    """Return how long fast servers wait for a slot beside slow ones that always want one."""
    slots, loop, waits = CheckSlots(SLOTS), asyncio.get_running_loop(), list[float]()

    async def ask_without_end(pace: Pace) -> None:
        while True:
            async with slots.slot(pace):
                await asyncio.sleep(TIMEOUT_S)

    asking = [asyncio.create_task(ask_without_end(Pace())) for _ in range(SLOW_SERVERS)]
    for _ in range(100):
        wanted = loop.time()
        async with slots.slot(Pace()):
            waits.append(loop.time() - wanted)
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.0)
    for task in asking:
        task.cancel()
    return waits


def test_slow_servers_do_not_hold_the_slots_of_fast_ones() -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        first, second, *later = runner.run(wait_of_fast_servers())
    assert first <= SLOW_S + 0.1
    assert [second, *later] == [0.0] * 99


def test_quick_use_ends_the_mark_of_a_slow_server() -> None:
    async def use(pace: Pace, seconds: float) -> bool:
        async with CheckSlots(1).slot(pace):
            await asyncio.sleep(seconds)
        return pace.is_slow

    async def run() -> list[bool]:
        pace = Pace()
        return [await use(pace, seconds) for seconds in (0.1, 2.0, 2.0, 0.1)]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(run()) == [False, True, True, False]
