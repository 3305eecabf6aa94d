"""The pauses before warm-ups and checks that did not help the last times."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from campaigns.simulation.loop import VirtualLoop
from statemachine.comfyui.pacing import RequestPause
from statemachine.core import events as e
from statemachine.core.repetition import NO_CONTENTION, Contention
from statemachine.core.server import Server
from statemachine.core.vocabulary import Reason
from statemachine.fleet.admission import wait_for_slot
from statemachine.fleet.checking import prepare
from statemachine.fleet.clock import loop_time
from statemachine.fleet.context import ServerContext
from statemachine.settings.model import Timing
from statemachine.simulator import PROFILES, running_fleet
from tests.fleet.event_recorder import daemon

LIMIT_S = 900.0
RELOADING = Contention(losses=3, reloading=True)


def context_of(server: Server, posted: list[e.Event], announced: list[float] | None = None) -> ServerContext:
    """Return a context without a network, in an outage, so that no warm-up starts."""
    times = [] if announced is None else announced
    fleet: Any = SimpleNamespace(
        settings=SimpleNamespace(timing=Timing(retry_s=2.0, failed_retry_s=LIMIT_S), language="en"),
        clock=SimpleNamespace(uniform=lambda: 1.0, now=lambda: 0.0),
        publisher=SimpleNamespace(progress=lambda server: times.append(server.waiting.until)),
        permits=SimpleNamespace(release=lambda _: None),
        journal=SimpleNamespace(healthy=True),
        outage=SimpleNamespace(holds=True),
    )
    nothing: Any = SimpleNamespace(name="a")
    pause = RequestPause(lambda: 2.0, lambda: LIMIT_S)
    return ServerContext(nothing, server, {}, (), nothing, nothing, nothing, fleet, posted.append, pause)


def run_for(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Run in virtual time, and cancel the work at its end."""

    async def limited() -> None:
        tasks = [asyncio.ensure_future(work())]
        await asyncio.wait(tasks, timeout=seconds)
        tasks[0].cancel()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(limited())


@pytest.mark.parametrize(
    ("contention", "reason", "waits"),
    [
        (RELOADING, Reason.FOREIGN_WORK_FINISHED, True),
        (RELOADING, Reason.LINK_RESTORED, True),
        (RELOADING, Reason.CHECK_REQUESTED, False),
        (replace(RELOADING, losses=1), Reason.FOREIGN_WORK_FINISHED, False),
        (replace(RELOADING, reloading=False), Reason.FOREIGN_WORK_FINISHED, False),
        (NO_CONTENTION, Reason.FOREIGN_WORK_FINISHED, False),
    ],
)
def test_check_that_would_reload_lost_models_waits(contention: Contention, reason: Reason, *, waits: bool) -> None:
    posted: list[e.Event] = []
    context = context_of(Server("a", contention=contention, reason=reason), posted)
    run_for(3.0, lambda: prepare(context))
    assert posted == ([e.CheckPostponed()] if waits else [e.CheckStarted()])
    run_for(LIMIT_S, lambda: prepare(context))
    assert posted[-1] == e.CheckStarted()


@pytest.mark.parametrize(("limited_posts", "pause_s"), [(0, 0.0), (1, 2.0), (3, 8.0), (5_000, LIMIT_S)])
def test_posts_that_a_rate_limit_answers_come_at_a_falling_rate(limited_posts: int, pause_s: float) -> None:
    """A restart of the server ends the backoff of failures, but not this one."""
    announced: list[float] = []
    context = context_of(Server("a", limited_posts=limited_posts), [], announced)

    async def wait() -> None:
        context.limited_at = loop_time()
        await wait_for_slot(context)

    run_for(1.0, wait)
    assert announced[0] == (pause_s or None)


async def test_process_that_ends_after_each_loading_is_contested(tmp_path: Path) -> None:
    """The loaded models, or a user's first prompt, may be what ends it."""
    quick = replace(PROFILES["cold"], load_seconds=0.02, down_seconds=0.3)
    timing = {"retry_s": 0.1, "link_backoff_max_s": 0.3, "http_timeout_s": 1}
    async with running_fleet([quick]) as fleet, daemon(tmp_path, fleet.urls, timing=timing) as recorder:
        (server,) = fleet.servers
        cold = []
        for _ in range(3):
            await recorder.reached("loaded", recorder.length)
            seen = recorder.length
            await server.restart()
            cold.append((await recorder.reached("cold", seen))[1])
    assert [one["reason"] for one in cold] == ["keys_missing", "contested", "contested"]
    assert "the server's process probably ends" in cold[-1]["message"]
