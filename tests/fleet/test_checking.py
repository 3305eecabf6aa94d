"""The start of checks, and their interval while a server loads by itself."""

import asyncio
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import pytest

from campaigns.simulation.loop import VirtualLoop
from statemachine.comfyui.errors import NotAnsweringError
from statemachine.core import events
from statemachine.core.messages import Message
from statemachine.core.server import Server
from statemachine.core.vocabulary import Reason
from statemachine.fleet.check_slots import CheckSlots, Pace
from statemachine.fleet.checking import CHANGES, RESTARTS, RESTARTS_WITHIN_S, auto_pace_s, prepare
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.settings.model import Timing


def test_auto_pace_doubles_up_to_check_interval() -> None:
    """A server that fails to load for days reaches thousands of rounds."""
    timing = Timing(auto_recheck_s=5.0, check_interval_s=60.0)
    assert [auto_pace_s(rounds, timing) for rounds in (0, 3, 4, 8, 16, 5_000, 10**9)] == [5, 5, 10, 20, 60, 60, 60]


class Silent:
    """A client whose queue does not answer."""

    async def queue(self) -> None:
        raise NotAnsweringError("silent")

    async def queue_remaining(self) -> None:
        raise NotAnsweringError("silent")


async def no_limit() -> None:
    """Return at once: nothing limits the requests."""


@pytest.mark.parametrize(
    ("auto_executing", "started"), [(True, events.ForeignLoadDetected), (False, events.CheckStarted)]
)
def test_prepare_unanswered_queue_of_loading_server_asks_no_check(*, auto_executing: bool, started: type) -> None:
    posted: list[events.Event] = []
    fleet = SimpleNamespace(
        check_slots=CheckSlots(1),
        settings=SimpleNamespace(timing=Timing()),
        clock=SimpleNamespace(uniform=lambda: 0.5),
    )
    server = Server("a", auto_executing=auto_executing)
    context = SimpleNamespace(
        server=server,
        client=Silent(),
        fleet=fleet,
        pace=Pace(),
        workflows={},
        broken=(),
        known_before=True,
        post=posted.append,
        wait_for_limit=no_limit,
    )
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(prepare(cast(ServerContext, context)))
    assert [type(event) for event in posted] == [started]


def test_prepare_after_many_restarts_is_bounded() -> None:
    """A faulty companion node may report another instance with each frame."""
    started: list[float] = []
    fleet = SimpleNamespace(settings=SimpleNamespace(timing=Timing()), clock=SimpleNamespace(now=loop_time))
    context = SimpleNamespace(
        server=Server("a", reason=Reason.SERVER_RESTARTED),
        fleet=fleet,
        broken=(),
        known_before=False,
        restarts=(),
        post=lambda _: started.append(loop_time()),
        wait_for_limit=no_limit,
        sleep=wait_for,
    )

    async def restart_ten_times_a_second() -> None:
        for _ in range(5 * RESTARTS):
            await prepare(cast(ServerContext, context))
            await asyncio.sleep(0.1)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(restart_ten_times_a_second())
    assert started[RESTARTS - 1] - started[0] < 1.0
    gaps = [later - earlier for earlier, later in zip(started, started[RESTARTS:], strict=False)]
    assert min(gaps) > RESTARTS_WITHIN_S - 0.01


async def wait_for(_: Message, seconds: float) -> None:
    await asyncio.sleep(seconds)


def changing_server(reason: Reason, started: list[float]) -> ServerContext:
    """Return the context of a server that was checked a moment ago and reports a change."""
    server = Server("a", reason=reason, last_check=0.0)

    def post(_: events.Event) -> None:
        started.append(loop_time())
        server.last_check = loop_time()

    fleet = SimpleNamespace(settings=SimpleNamespace(timing=Timing()), clock=SimpleNamespace(now=loop_time))
    context = SimpleNamespace(
        server=server,
        fleet=fleet,
        broken=(),
        known_before=False,
        changes_allowed_at=0.0,
        post=post,
        wait_for_limit=no_limit,
        sleep=wait_for,
    )
    return cast(ServerContext, context)


@pytest.mark.parametrize("reason", CHANGES)
def test_prepare_after_many_changes_is_bounded(reason: Reason) -> None:
    """A server may report a change with each of many frames a second."""
    started: list[float] = []
    context = changing_server(reason, started)
    most, interval_s = CHANGES[reason]

    async def change_ten_times_a_second() -> None:
        for _ in range(2 * most):
            await prepare(context)
            await asyncio.sleep(0.1)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(change_ten_times_a_second())
    assert started[most - 1] - started[0] < 0.3 * most
    gaps = [later - earlier for earlier, later in pairwise(started[-5:])]
    assert min(gaps) > 0.99 * interval_s


def test_prepare_after_honest_work_is_at_once() -> None:
    """Users' jobs that end each second for an hour delay no check."""
    started: list[float] = []
    context = changing_server(Reason.FOREIGN_WORK_FINISHED, started)

    async def end_a_job_each_second() -> None:
        for _ in range(3600):
            await asyncio.sleep(1.0)
            await prepare(context)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(end_a_job_each_second())
    assert started == pytest.approx([1.0 + number for number in range(3600)])
