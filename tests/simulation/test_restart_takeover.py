"""A restart of a server whose cluster node dies, leaves, stops or has to hand the server over meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typing_extensions import override

from campaigns.simulation.cluster.agreement import log_of
from campaigns.simulation.cluster.daemon import NodeDaemon
from campaigns.simulation.cluster.node import SimNode
from campaigns.simulation.cluster.processes import Process, ProcessLoop
from campaigns.simulation.cluster.scenario import LEASE_S
from campaigns.simulation.cluster.simulation import ClusterSimulation
from campaigns.simulation.plans import Plan
from campaigns.simulation.run import run_simulation
from campaigns.simulation.scenario import Scenario
from campaigns.simulation.simulation import TAIL
from statemachine.cluster.membership import node_for
from statemachine.core.messages import verbatim
from statemachine.core.restart import Restart, RestartStage
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import State
from statemachine.repair.port import HookError, HookRunner
from statemachine.settings import Settings
from statemachine.settings.servers import ServerConfig
from statemachine.simulator import SimServer
from tests.simulation.restart_rig import LIMITS, LOOK_S, QUICK, Hook

NAME = "127.0.0.1:8188"
NODES = ("a", "b")
FIRST = node_for(NAME, NODES)
"""The node that the server belongs to."""

LOST_WITHIN_S = 3 * LEASE_S


class NodeHooks(HookRunner):
    """Runs the rig's hook, until the node's process is dead."""

    def __init__(self, rig: "TakeoverRig", process: Process) -> None:
        self._rig, self._process = rig, process

    @override
    async def run(self, server: ServerConfig, restart: Restart) -> None:
        hook = self._rig.hook
        hook.runs[restart.id] += 1
        self._rig.running.add(restart.id)
        self._rig.most_at_once = max(self._rig.most_at_once, len(self._rig.running))
        self._rig.spawn(hook.act(self._rig.server))
        try:
            await asyncio.sleep(hook.takes_s)
        finally:
            self._rig.running.discard(restart.id)
        if hook.fails:
            raise HookError(verbatim("no such unit"))


class TakeoverRig(ClusterSimulation):
    """One server and two nodes. `story` drives them and asserts; no fault happens by itself."""

    def __init__(
        self, folder: Path, story: Callable[["TakeoverRig"], Awaitable[None]], hook: Hook, limits: Mapping[str, int]
    ) -> None:
        plan = Plan("127.0.0.1", 8188, QUICK, ("cache_models",), 0.0)
        settings = Settings.model_validate({
            "servers": [f"http://{NAME}"],
            "workflows": ["cache_models"],
            "timing": {"warm_timeout_s": 60, "http_timeout_s": 5},
            "restart": {"command": ["restart"], **limits},
        })  # fmt: skip
        scenario = Scenario((plan,), settings, adverse_s=0.0, calm_s=0.0, actions_every_s=1.0)
        super().__init__(1, folder, (), keep=TAIL, scenario=scenario, nodes=NODES)
        self._faults.active = False
        self.hook, self._story = hook, story
        self.running: set[str] = set()
        """The restarts whose hook runs, on any node."""
        self.most_at_once = 0

    @override
    def _new_daemon(self, node: SimNode) -> NodeDaemon:
        settings, invariants = self._scenario.settings, node.invariants
        hooks = lambda process: NodeHooks(self, process)  # noqa: E731
        return NodeDaemon(settings, self._clock, self.engine, node.disk, node.wires, invariants, hooks)

    @override
    async def _run_scenario(self) -> None:
        await self._set_up(self._scenario.plans[0])
        await self._story(self)

    @override
    def _check_journal(self) -> None:
        """A node that is down has not copied the end of the log."""

    @property
    def server(self) -> SimServer:
        return self.nodes[0].wires[NAME].server

    def node(self, name: str | None) -> SimNode:
        return next(node for node in self.nodes if node.name == name)

    @property
    def owner(self) -> SimNode:
        """The node that looks after the server."""
        return self.node(self.engine.record(NAME).node)

    def view(self) -> ServerView | None:
        """The server as the nodes that run show it, None while they differ."""
        running = [node.daemon.snapshot.get(NAME) for node in self.nodes if node.daemon is not None and node.runs]
        shown = [view and (view.state, view.restart) for view in running]
        return running[0] if running and shown == shown[:1] * len(shown) else None

    async def until(self, is_so: Callable[[ServerView], object], within_s: float = 300.0) -> ServerView:
        """Return the view once it is as it should be."""
        for _ in range(int(within_s / LOOK_S)):
            if (view := self.view()) is not None and is_so(view):
                return view
            await asyncio.sleep(LOOK_S)
        raise AssertionError(f"it stays so: {self.view()}")

    async def until_state(self, state: State) -> ServerView:
        return await self.until(lambda view: view.state is state)

    async def until_ended(self) -> Restart:
        """Return the restart once it has ended, and the server is loaded."""
        view = await self.until(lambda one: one.restart is not None and not one.restart.is_open)
        assert view.restart is not None
        return view.restart

    def start(self, nodes: Sequence[str | None] = NODES) -> None:
        for name in nodes:
            self.node(name).start_daemon()

    async def request(self) -> None:
        """Request a restart at a node that runs."""
        daemon = next(node.daemon for node in self.nodes if node.runs)
        assert daemon is not None
        assert await daemon.act(NAME, "restart")

    async def until_taken_over(self, before: SimNode) -> None:
        """Wait until another node looks after the server."""
        async with asyncio.timeout(LOST_WITHIN_S):
            while self.engine.record(NAME).node in {None, before.name}:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)

    async def lose_owner(self, how: str) -> SimNode:
        """End the owner, or stop it until another node has the server; return it."""
        owner = self.owner
        assert owner.daemon is not None
        if how == "leaves":
            await owner.daemon.leave()
        elif how == "dies":
            await owner.daemon.crash()
        else:
            await owner.freeze(LOST_WITHIN_S)
        return owner


def run_story(story: Callable[[TakeoverRig], Awaitable[None]], hook: Hook, **limits: int) -> None:
    """Run the story in virtual time; raise what it asserts."""
    result = run_simulation(ProcessLoop, lambda folder: TakeoverRig(folder, story, hook, LIMITS | limits))
    assert result.violation is None, "\n".join([*result.trace, result.violation])


async def begun(rig: TakeoverRig) -> SimNode:
    """Run the hook of a restart at the node to which the server does not belong; return the node."""
    (first,) = set(NODES) - {FIRST}
    rig.start([first])
    await rig.until_state(State.LOADED)
    await rig.request()
    await rig.until_state(State.RESTARTING)
    rig.start([FIRST])
    await asyncio.sleep(1.0)
    return rig.owner


async def lose_store(rig: TakeoverRig, owner: SimNode) -> None:
    """Cut the owner off from the store until the other node has the server. Its hook goes on."""
    rig.engine.cut(owner.name)
    await rig.until_taken_over(owner)
    rig.engine.heal(owner.name)


async def restart_server(rig: TakeoverRig) -> None:
    await rig.server.go_down()
    await asyncio.sleep(1.0)
    await rig.server.come_back()


LASTING = Hook(takes_s=50.0, acts=False, fails=True)
"""A command that lasts, and fails, although the server has been restarted long before."""


def test_hook_that_fails_at_a_node_that_lost_the_server_changes_nothing() -> None:
    """The next owner has found the server back, and neither record nor log tells of the failure."""

    async def story(rig: TakeoverRig) -> None:
        await lose_store(rig, await begun(rig))
        await restart_server(rig)
        restart = await rig.until_ended()
        assert (restart.stage, len(rig.running)) == (RestartStage.SUCCEEDED, 1)
        record = rig.engine.record(NAME)
        await asyncio.sleep(LASTING.takes_s)
        assert (rig.running, rig.engine.record(NAME).restart) == (set(), record.restart)
        await rig.until_state(State.LOADED)
        assert State.FAILED.value not in {dest for _, _, dest in log_of(rig.engine)}

    run_story(story, replace(LASTING, runs=Counter()), hook_timeout_s=60)


def test_hook_of_an_earlier_restart_does_not_end_a_later_one() -> None:
    """A node gets the server back in the middle of another restart, while the hook of the one before still runs."""

    async def story(rig: TakeoverRig) -> None:
        before = await begun(rig)
        await lose_store(rig, before)
        await restart_server(rig)
        first = await rig.until_ended()
        rig.hook = Hook(takes_s=30.0, acts=False)
        await rig.request()
        await rig.until_state(State.RESTARTING)
        await rig.lose_owner("dies")
        async with asyncio.timeout(LOST_WITHIN_S):
            while rig.owner is not before:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_S)
        await restart_server(rig)
        second = await rig.until_ended()
        assert (second.id == first.id, second.stage, rig.running) == (False, RestartStage.SUCCEEDED, {first.id})

    run_story(story, replace(LASTING, takes_s=100.0, runs=Counter()))


def test_hook_waits_for_one_that_may_still_run_at_the_node_before() -> None:
    """Another restart is requested right after the server has returned, while the first command still runs."""

    async def story(rig: TakeoverRig) -> None:
        await lose_store(rig, await begun(rig))
        await restart_server(rig)
        first = await rig.until_ended()
        rig.hook = Hook()
        await rig.request()
        await rig.until(lambda view: view.restart is not None and view.restart.id != first.id)
        assert (await rig.until_ended()).stage is RestartStage.SUCCEEDED
        assert rig.most_at_once == 1

    run_story(story, replace(LASTING, runs=Counter()), hook_timeout_s=60)


@pytest.mark.parametrize("how", ["dies", "leaves", "stops"])
def test_draining_goes_on_at_the_next_owner(how: str) -> None:
    """The prompt of a user ends long after; the hook runs once, for the same restart."""

    async def story(rig: TakeoverRig) -> None:
        rig.start()
        await rig.until_state(State.LOADED)
        rig.server.start_foreign_job(2 * LOST_WITHIN_S)
        await rig.request()
        view = await rig.until_state(State.DRAINING)
        before = await rig.lose_owner(how)
        await rig.until_taken_over(before)
        assert rig.hook.runs == {}
        restart = await rig.until_ended()
        assert view.restart is not None
        assert (restart.id, restart.stage) == (view.restart.id, RestartStage.SUCCEEDED)
        await rig.until_state(State.LOADED)

    run_story(story, hook := Hook())
    assert list(hook.runs.values()) == [1]


@pytest.mark.parametrize("how", ["dies", "leaves", "stops"])
def test_hook_that_has_begun_is_not_run_by_the_next_owner(how: str) -> None:
    """The command goes on after the node's end; the next owner waits for the server's return."""

    async def story(rig: TakeoverRig) -> None:
        rig.start()
        await rig.until_state(State.LOADED)
        await rig.request()
        await rig.until_state(State.RESTARTING)
        await rig.lose_owner(how)
        assert (await rig.until_ended()).stage is RestartStage.SUCCEEDED
        await rig.until_state(State.LOADED)

    run_story(story, hook := Hook(takes_s=1.0, away_s=LOST_WITHIN_S / 2))
    assert list(hook.runs.values()) == [1]


def test_hook_that_ends_with_its_node_fails_within_the_limits() -> None:
    """The hook has not restarted the server: nothing is repeated, and the restart ends."""

    async def story(rig: TakeoverRig) -> None:
        rig.start()
        await rig.until_state(State.LOADED)
        await rig.request()
        await rig.until_state(State.RESTARTING)
        await rig.lose_owner("dies")
        limit_s = LIMITS["hook_timeout_s"] + LIMITS["return_timeout_s"] + LOST_WITHIN_S
        await rig.until(lambda view: view.restart is not None and not view.restart.is_open, within_s=limit_s + 60.0)
        assert (await rig.until_ended()).stage is RestartStage.FAILED

    run_story(story, hook := Hook(acts=False))
    assert list(hook.runs.values()) == [1]


def test_restarting_server_is_not_handed_over_before_it_is_back() -> None:
    async def story(rig: TakeoverRig) -> None:
        (other,) = set(NODES) - {FIRST}
        rig.start([other])
        await rig.until_state(State.LOADED)
        await rig.request()
        await rig.until_state(State.RESTARTING)
        rig.start([FIRST])
        for _ in range(10):
            await asyncio.sleep(1.0)
            assert rig.owner.name == other
        assert (await rig.until_ended()).stage is RestartStage.SUCCEEDED
        await asyncio.sleep(10.0)
        assert rig.owner.name == FIRST
        await rig.until_state(State.LOADED)

    run_story(story, hook := Hook(takes_s=2.0, away_s=12.0))
    assert list(hook.runs.values()) == [1]


def test_draining_server_is_handed_over_and_drains_on() -> None:
    async def story(rig: TakeoverRig) -> None:
        (other,) = set(NODES) - {FIRST}
        rig.start([other])
        await rig.until_state(State.LOADED)
        rig.server.start_foreign_job(40.0)
        await rig.request()
        await rig.until_state(State.DRAINING)
        rig.start([FIRST])
        await asyncio.sleep(15.0)
        assert (rig.owner.name, rig.hook.runs) == (FIRST, {})
        assert (await rig.until_state(State.DRAINING)).restart is not None
        assert (await rig.until_ended()).stage is RestartStage.SUCCEEDED
        await rig.until_state(State.LOADED)

    run_story(story, hook := Hook())
    assert list(hook.runs.values()) == [1]
