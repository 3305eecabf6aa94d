"""What asks for restarts by itself, over days in virtual time: its limits, and what is no reason for a restart."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typing_extensions import override

from campaigns.simulation.daemon import SimDaemon
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.plans import Plan
from campaigns.simulation.run import run_simulation
from statemachine.core.restart import Restart, RestartCause
from statemachine.core.vocabulary import State
from statemachine.repair.port import HookRunner
from statemachine.settings import Settings
from statemachine.settings.servers import ServerConfig
from statemachine.simulator import SimServer
from statemachine.simulator.http import Request, Response, text_response
from statemachine.simulator.profiles import PROFILES
from tests.simulation.calm import CalmSimulation

MINUTE, HOUR = 60.0, 3600.0
AWAY_S = 20.0
HANG_S = 30 * MINUTE
"""How long a prompt of others may run on idle devices."""

Story = Callable[["Days"], Awaitable[None]]


class Entry(NamedTuple):
    """An entry of the event log."""

    at: float
    reason: str


class Days(CalmSimulation):
    """Servers that are well, with a hook that restarts them. `hooks` are the times, servers and causes of its runs."""

    def __init__(
        self, folder: Path, profiles: Sequence[str], story: Story, groups: Sequence[str], warm_timeout_s: float,
        restart: dict[str, Any],
    ) -> None:  # fmt: skip
        plans = tuple(
            Plan("127.0.0.1", 8188 + n, PROFILES[name], ("cache_models",), 0.0) for n, name in enumerate(profiles)
        )
        settings = Settings.model_validate({
            "servers": [
                {"url": f"http://{plan.name}", "group": group}
                for plan, group in zip(plans, groups or ["all"] * len(plans), strict=True)
            ],
            "workflows": ["cache_models"],
            "timing": {"warm_timeout_s": warm_timeout_s, "check_interval_s": HOUR},
            "restart": {"command": ["restart"], **restart},
        })  # fmt: skip
        super().__init__(folder, plans, settings)
        self._story = story
        self.names = [plan.name for plan in plans]
        self.hooks: list[tuple[float, str, RestartCause]] = []
        self.log: list[Entry] = []

    @property
    def servers(self) -> list[SimServer]:
        return [self.wires[name].server for name in self.names]

    @property
    def states(self) -> list[State]:
        return [self._invariants.ledgers[name].state for name in self.names]

    @override
    async def _run_scenario(self) -> None:
        for plan in self._scenario.plans:
            await self._set_up(plan)
        self._start_daemon()
        await self._story(self)
        with closing(sqlite3.connect(self.disk.path)) as file:
            self.log = [Entry(*row) for row in file.execute("SELECT at, reason FROM log ORDER BY seq")]

    @override
    def _hooks(self, daemon: SimDaemon) -> HookRunner:
        return DaysHook(self, daemon)

    async def until(self, state: State, within_s: float = HOUR) -> None:
        """Wait until all servers are in this state."""
        async with asyncio.timeout(within_s):
            while set(self.states) != {state}:  # noqa: ASYNC110
                await asyncio.sleep(1.0)

    def entries(self, reason: str) -> int:
        """Return how many entries of the event log have this reason."""
        return sum(one.reason == reason for one in self.log)


class DaysHook(HookRunner):
    """Restarts its server."""

    def __init__(self, days: Days, daemon: SimDaemon) -> None:
        self._days, self._daemon = days, daemon

    @override
    async def run(self, server: ServerConfig, restart: Restart) -> None:
        if self._daemon.dead:
            await asyncio.Event().wait()
        self._days.hooks.append((asyncio.get_running_loop().time(), server.name, restart.cause))
        self._days.spawn(self._restart(self._days.wires[server.name].server))

    async def _restart(self, server: SimServer) -> None:
        await server.go_down()
        await asyncio.sleep(AWAY_S)
        await server.come_back()


def told(
    story: Story,
    *profiles: str,
    groups: Sequence[str] = (),
    warm_timeout_s: float = HANG_S / 3,
    **restart: object,
) -> Days:
    """Run a story over servers with these profiles; return how it went."""
    made: list[Days] = []

    def make(folder: Path) -> Days:
        made.append(Days(folder, profiles, story, groups, warm_timeout_s, restart))
        return made[-1]

    result = run_simulation(VirtualLoop, make)
    assert result.violation is None, "\n".join(result.trace)
    return made[0]


def test_host_short_of_memory_keeps_its_servers_in_service() -> None:
    """Another program uses the memory: restarts do not help, and are given up one server at a time."""

    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        for server in days.servers:
            server.ram_free = 0
        await asyncio.sleep(3 * HOUR)
        assert days.states == [State.LOADED] * 2

    days = told(story, "loaded", "loaded", max_ram_percent=90, max_per_day=2, groups=["a", "b"])
    assert sorted(name for _, name, _ in days.hooks) == sorted(days.names * 2)
    assert all(later - earlier >= AWAY_S for (earlier, *_), (later, *_) in pairwise(days.hooks))
    assert (days.entries("restart_withheld"), days.entries("restart_limit")) == (2, 0)


@pytest.mark.parametrize("step_s", [25 * HOUR, -25 * HOUR])
def test_clock_that_is_set_each_hour_changes_no_limit(step_s: float) -> None:
    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        days.servers[0].ram_free = 0
        for _ in range(49):
            await asyncio.sleep(HOUR)
            days.clock_offset += step_s

    days = told(story, "loaded", max_ram_percent=90, max_per_day=2, min_pause="4h")
    hours = [round(at / HOUR) for at, *_ in days.hooks]
    assert hours == [0, 4, 24, 28, 48]


def test_dead_worker_at_its_limit_stays_failed_until_it_is_repaired() -> None:
    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        for _ in range(2):
            lose_worker(days.servers[0])
            await asyncio.sleep(2 * HOUR)
        assert days.states == [State.FAILED]
        await days.servers[0].restart()
        await days.until(State.LOADED)

    days = told(story, "node", when_stuck=True, max_per_day=1)
    limit = [one.reason for one in days.log].index("restart_limit")
    assert len(days.hooks) == 1
    assert days.log[limit + 1].at - days.log[limit].at > HOUR


def test_dead_worker_is_out_of_service_until_the_pause_is_over() -> None:
    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        lose_worker(days.servers[0])
        await asyncio.sleep(10 * MINUTE)
        lose_worker(days.servers[0])
        await asyncio.sleep(10 * MINUTE)
        assert (days.states, len(days.hooks)) == ([State.FAILED], 1)
        await asyncio.sleep(HOUR)
        assert days.states == [State.LOADED]

    days = told(story, "node", when_stuck=True)
    assert [cause for *_, cause in days.hooks] == [RestartCause.STUCK] * 2


@pytest.mark.parametrize(("profile", "within_s"), [("node", 5 * MINUTE), ("loaded", HANG_S + 5 * MINUTE)])
def test_dead_worker_behind_a_partial_list_is_restarted(profile: str, within_s: float) -> None:
    """The queue counts the prompts that wait, and does not list them."""

    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        days.servers[0].profile = replace(days.servers[0].profile, lists_pending=False)
        lose_worker(days.servers[0])
        await asyncio.sleep(within_s)
        assert days.states == [State.LOADED]

    assert [cause for *_, cause in told(story, profile, when_stuck=True).hooks] == [RestartCause.STUCK]


def lose_worker(server: SimServer) -> None:
    server.lose_worker()
    server.start_foreign_job(1.0)


def test_drains_that_fail_end_at_the_limit() -> None:
    """A server that is never idle is drained twice, and then left alone."""

    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        days.servers[0].process.queue.pause()
        days.servers[0].start_foreign_job(1.0)
        await asyncio.sleep(36 * HOUR)
        assert days.states == [State.LOADED]

    days = told(story, "loaded", max_age="2h", drain_timeout_s=60, max_per_day=2)
    assert (days.hooks, days.entries("drain_timed_out"), days.entries("restart_withheld")) == ([], 2, 1)


async def crash_after(days: Days, hooks: int) -> None:
    """End the daemon for ten minutes once so many hooks have run; then wait until the rest may have followed."""
    while len(days.hooks) < hooks:  # noqa: ASYNC110
        await asyncio.sleep(1.0)
    await days.crash(10 * MINUTE)
    await asyncio.sleep(10 * MINUTE)
    assert days.states == [State.LOADED] * 3


def test_turn_of_a_schedule_goes_on_after_a_crash_of_the_daemon() -> None:
    async def story(days: Days) -> None:
        await crash_after(days, hooks=4)

    days = told(story, *["node"] * 3, schedule="5 0-1 * * *", min_pause="30m")
    assert sorted(name for _, name, _ in days.hooks) == sorted(days.names * 2)
    assert {cause for *_, cause in days.hooks} == {RestartCause.SCHEDULE}


def test_turn_of_a_schedule_is_not_that_of_a_server_that_may_be_new() -> None:
    """A server without an earlier restart may have joined the group after that time."""

    async def story(days: Days) -> None:
        await crash_after(days, hooks=1)

    assert len(told(story, *["node"] * 3, schedule="5 0 * * *").hooks) == 1


def test_time_that_passes_without_a_daemon_is_not_made_up_for() -> None:
    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        await days.crash(10 * MINUTE)
        await asyncio.sleep(10 * MINUTE)

    assert told(story, *["loaded"] * 2, schedule="5 0 * * *").hooks == []


@pytest.mark.parametrize("step_s", [-30.0, -120.0, -HOUR, -25 * HOUR, 10 * HOUR, 26 * HOUR])
@pytest.mark.parametrize(("at_s", "hooks"), [(MINUTE, 0), (6 * HOUR, 2)])
def test_clock_that_is_set_restarts_nothing_off_the_schedule(at_s: float, hooks: int, step_s: float) -> None:
    """Neither a turn that it repeats or skips, nor one before the start, whether or not a server was restarted."""

    async def story(days: Days) -> None:
        await asyncio.sleep(at_s)
        days.clock_offset += step_s
        await asyncio.sleep(HOUR)

    assert len(told(story, "loaded", "loaded", schedule="5 1 * * *").hooks) == hooks


def test_server_that_each_warm_up_ends_is_not_restarted() -> None:
    async def story(days: Days) -> None:
        await asyncio.sleep(2 * HOUR)
        assert days.states == [State.FAILED]

    days = told(story, "dying", when_stuck=True)
    assert (days.hooks, days.entries("warm_up_ends_server") > 0) == ([], True)


@pytest.mark.parametrize(("profile", "minutes"), [("node", 40), ("loaded", 40), ("node", 120)])
def test_long_video_is_not_restarted(profile: str, minutes: int) -> None:
    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        for _ in range(2):
            days.servers[0].start_foreign_job(minutes * MINUTE)
        await asyncio.sleep(minutes * MINUTE * 2.1)
        assert days.servers[0].process.queue.remaining == 0

    assert told(story, profile, when_stuck=True).hooks == []


@pytest.mark.parametrize("profile", ["node", "loaded"])
def test_prompt_that_hangs_on_idle_devices_is_restarted(profile: str) -> None:
    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        days.servers[0].start_foreign_job(MINUTE)
        await asyncio.sleep(1.0)
        days.servers[0].stall()
        await asyncio.sleep(20 * MINUTE)
        assert days.hooks == []
        await asyncio.sleep(20 * MINUTE)
        assert days.states == [State.LOADED]

    assert [cause for *_, cause in told(story, profile, when_stuck=True).hooks] == [RestartCause.STUCK]


def test_drains_for_another_cause_do_not_put_a_diagnosis_off() -> None:
    """They end each ten minutes, because the prompt hangs, and a hang is diagnosed after half an hour."""

    async def story(days: Days) -> None:
        await days.until(State.LOADED)
        days.servers[0].start_foreign_job(MINUTE)
        await asyncio.sleep(1.0)
        days.servers[0].stall()
        await asyncio.sleep(HOUR)
        assert days.states == [State.LOADED]

    limits: dict[str, Any] = {"max_age": "10m", "min_pause": "1m", "max_per_day": 100, "drain_timeout_s": 60}
    hooks = told(story, "node", when_stuck=True, **limits).hooks
    assert RestartCause.STUCK in [cause for *_, cause in hooks]


@pytest.mark.parametrize("warm_timeout_s", [5, 20, 600])
@pytest.mark.parametrize(
    ("changes", "errors"),
    [({}, 0), ({}, 2), ({"restore_after": 1.0}, 0)],
    ids=["gone", "errors first", "restored queue"],
)
def test_warm_up_that_stalls_is_settled_after_the_restart(
    warm_timeout_s: float, changes: dict[str, Any], errors: int
) -> None:
    """Its time limit has passed by then; the new process decides what became of its prompt."""

    async def story(days: Days) -> None:
        server = days.servers[0]
        while days.states != [State.WARMING]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        server.profile = replace(server.profile, stall_after_models=None, load_seconds=1.0, **changes)
        fail_after_restart(server, errors)
        await asyncio.sleep(warm_timeout_s)
        await days.until(State.LOADED)

    days = told(story, "stalling", when_stuck=True, warm_timeout_s=warm_timeout_s, min_pause="10s")
    assert [cause for *_, cause in days.hooks] == [RestartCause.STUCK]
    reasons = [one.reason for one in days.log]
    after = reasons[reasons.index("server_returned") :]
    assert {"prompt_in_doubt", "all_cached"} <= set(after)
    assert ("queue_stuck" in after, "server_restarted" in after) == (False, not changes)


def test_warm_up_that_stalls_is_restarted_as_soon_as_its_limit_is_over() -> None:
    async def story(_: Days) -> None:
        await asyncio.sleep(HOUR)

    days = told(story, "stalling", when_stuck=True, warm_timeout_s=30 * MINUTE)
    assert 30 * MINUTE < days.hooks[0][0] < 32 * MINUTE


def fail_after_restart(server: SimServer, errors: int) -> None:
    """Let the first requests for the queue fail once another process of the server answers."""
    handle, first = server.handle, server.process
    left = errors

    async def failing(request: Request) -> Response:
        nonlocal left
        if request.path == "/queue" and server.up and server.process is not first and left:
            left -= 1
            return text_response("starting", status=500)
        return await handle(request)

    server.handle = failing  # type: ignore[method-assign]
