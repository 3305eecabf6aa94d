"""The queue in which version and devices of servers are read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from statemachine.fleet.check_slots import SLOW_S
from statemachine.fleet.system_info import AT_ONCE, PACE_S, SystemInfoQueue

pytestmark = pytest.mark.looptime


class Servers:
    """Servers that answer after `answer_s`. `most` is how many were asked at a time."""

    def __init__(self, answer_s: float) -> None:
        self.answer_s = answer_s
        self.asked = 0
        self.most = 0
        self._asking = 0

    async def ask(self) -> None:
        self.asked += 1
        self._asking += 1
        self.most = max(self.most, self._asking)
        await asyncio.sleep(self.answer_s)
        self._asking -= 1


@pytest.fixture
async def queue() -> AsyncIterator[SystemInfoQueue]:
    queue = SystemInfoQueue()
    running = asyncio.create_task(queue.run())
    yield queue
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_few_servers_are_read_at_a_time(queue: SystemInfoQueue) -> None:
    servers = Servers(answer_s=0.9 * SLOW_S)
    for number in range(10 * AT_ONCE):
        queue.want(str(number), servers.ask)
    await asyncio.sleep(20 * SLOW_S)
    assert (servers.asked, servers.most) == (10 * AT_ONCE, AT_ONCE)


async def test_slow_servers_do_not_hold_up_the_others(queue: SystemInfoQueue) -> None:
    slow, quick = Servers(answer_s=3600.0), Servers(answer_s=0.01)
    for number in range(2 * AT_ONCE):
        queue.want(f"slow {number}", slow.ask)
    for number in range(100):
        queue.want(f"quick {number}", quick.ask)
    await asyncio.sleep(2 * SLOW_S + 164 * (PACE_S + 0.01))
    assert quick.asked == 100


async def test_server_that_left_is_not_read(queue: SystemInfoQueue) -> None:
    servers = Servers(answer_s=0.01)
    for name in ("a", "b"):
        queue.want(name, servers.ask)
    queue.forget("b")
    await asyncio.sleep(SLOW_S)
    assert servers.asked == 1
