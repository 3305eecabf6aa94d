"""One server and its daemon in virtual time, with the real journal and a hook that acts on the simulated server."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import SecretStr
from typing_extensions import override

from campaigns.simulation.daemon import SimDaemon
from campaigns.simulation.disk import DiskWatcher
from campaigns.simulation.faults import Fault
from campaigns.simulation.loop import VirtualLoop
from campaigns.simulation.plans import Plan
from campaigns.simulation.reloads import reload
from campaigns.simulation.run import run_simulation
from statemachine.core.messages import verbatim
from statemachine.core.ports import Action
from statemachine.core.restart import Restart
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.journal.store import Write
from statemachine.repair.port import HookError, HookRunner
from statemachine.settings import Settings, resolve_servers
from statemachine.settings.servers import ServerConfig
from statemachine.simulator import SimServer
from statemachine.simulator.profiles import PROFILES, Profile
from tests.simulation.calm import CalmSimulation

QUICK = replace(PROFILES["cold"], load_seconds=0.2)
LIMITS = {"hook_timeout_s": 10, "drain_timeout_s": 60, "return_timeout_s": 15}
LOOK_S = 0.25
INSTANT_S = 1e-4


@dataclass
class Hook:
    """What the hook does. Its command goes on after a crash of the daemon, as one in a session of its own does.

    `is_for_other`: the hook restarts another server.
    """

    takes_s: float = 2.0
    away_s: float = 5.0
    fails: bool = False
    acts: bool = True
    is_for_other: bool = False
    runs: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    running: int = 0
    moments: list[float] = field(default_factory=list)

    async def act(self, server: SimServer) -> None:
        """Restart the server, in the time that the hook takes."""
        if self.acts:
            await asyncio.sleep(self.takes_s / 2)
            self.note_moment()
            await server.go_down()
            await asyncio.sleep(self.away_s)
            self.note_moment()
            await server.come_back()

    def note_moment(self) -> None:
        """Note that a step of a restart has happened now."""
        self.moments.append(asyncio.get_running_loop().time())


class WriteWatcher:
    """Passes the writes on, and notes when they are committed."""

    def __init__(self, inner: DiskWatcher, hook: Hook) -> None:
        self._inner, self._hook = inner, hook

    def committed(self, batch: Sequence[Write], numbers: Sequence[int | None]) -> None:
        """Note the moment of the commit."""
        self._hook.note_moment()
        self._inner.committed(batch, numbers)

    def write_failed(self) -> None:
        """Pass a failed write on."""
        self._inner.write_failed()


class RigHooks(HookRunner):
    """Runs the rig's hook, until the daemon is dead."""

    def __init__(self, rig: "RestartRig", daemon: SimDaemon) -> None:
        self._rig, self._daemon = rig, daemon

    @override
    async def run(self, server: ServerConfig, restart: Restart) -> None:
        if self._daemon.dead:
            await asyncio.Event().wait()
        hook = self._rig.hook
        hook.runs[restart.id] += 1
        hook.running += 1
        hook.note_moment()
        hook.most_at_once = max(hook.most_at_once, hook.running)
        self._rig.spawn(hook.act(self._rig.other if hook.is_for_other else self._rig.server))
        try:
            await asyncio.sleep(hook.takes_s)
        finally:
            hook.running -= 1
            hook.note_moment()
        if hook.fails:
            raise HookError(verbatim("no such unit"))


class RestartRig(CalmSimulation):
    """`story` is the run: it drives the rig and asserts. No fault happens by itself."""

    def __init__(
        self,
        folder: Path,
        story: Callable[["RestartRig"], Awaitable[None]],
        hook: Hook,
        profile: Profile,
        *,
        with_other: bool,
    ) -> None:
        self.hook, self._story = hook, story
        self.plan = Plan("127.0.0.1", 8188, profile, ("cache_models",), 0.0)
        self._other = Plan("127.0.0.1", 8189, profile, ("cache_models",), 0.0)
        plans = (self.plan, self._other) if with_other else (self.plan,)
        settings = Settings.model_validate({
            "servers": [f"http://{plan.name}" for plan in plans],
            "workflows": ["cache_models"],
            "timing": {"warm_timeout_s": 60, "http_timeout_s": 5},
            "restart": {"command": ["restart"], **LIMITS},
        })  # fmt: skip
        super().__init__(folder, plans, settings)
        self.disk = self._disk_with(folder, WriteWatcher(self._invariants, hook))

    @override
    def _hooks(self, _: SimDaemon) -> HookRunner:
        return RigHooks(self, _)

    @override
    async def _run_scenario(self) -> None:
        for plan in self._scenario.plans:
            await self._set_up(plan)
        self._start_daemon()
        await self._story(self)

    @property
    def server(self) -> SimServer:
        """The simulated server."""
        return self.wires[self.plan.name].server

    @property
    def other(self) -> SimServer:
        """The other simulated server."""
        return self.wires[self._other.name].server

    @property
    def other_view(self) -> ServerView | None:
        """The other server's view, once there is one."""
        return None if self._daemon is None else self._daemon.snapshot.get(self._other.name)

    @property
    def view(self) -> ServerView:
        """The server's view as outsiders see it."""
        view = self._view_or_none()
        assert view is not None
        return view

    def _view_or_none(self) -> ServerView | None:
        return None if self._daemon is None else self._daemon.snapshot.get(self.plan.name)

    @property
    def restart(self) -> Restart:
        """The latest restart, as outsiders see it."""
        assert self.view.restart is not None
        return self.view.restart

    def noted(self, *reasons: Reason) -> list[Reason]:
        """Return those of the journal's entries that have one of these reasons, in their order."""
        with closing(sqlite3.connect(self.disk.path)) as file:
            return [Reason(one) for (one,) in file.execute("SELECT reason FROM log ORDER BY seq") if one in reasons]

    async def ask(self, action: Action) -> None:
        """Act as an operator, and return once the daemon has answered. Raises what the daemon refuses with."""
        assert self._daemon is not None
        assert await self._daemon.fleet.act(self.plan.name, action)

    def change_profile(self, profile: Profile) -> None:
        """Let the server's next process have this profile, as after the installation of a plug-in."""
        ledger = self._invariants.ledgers[self.plan.name]
        self.server.profile, ledger.plan = profile, replace(ledger.plan, profile=profile)

    def lose_dials(self, count: int) -> None:
        """Let the next /ws connections to the server time out."""
        dials, lost = self.wires[self.plan.name].dials, iter([Fault.DIAL_LOST] * count)
        dials.roll = lambda: next(lost, None)  # type: ignore[method-assign]

    async def reload(self, edition: int = 2) -> None:
        """Change the settings of every server, as an edited file does."""
        assert self._daemon is not None
        servers = [
            replace(one, headers={"X-Edition": SecretStr(str(edition))})
            for one in resolve_servers(self._scenario.settings)
        ]
        await reload(self._daemon, servers, self._invariants, self.note)

    async def until_asked(self) -> None:
        """Request a restart as soon as the daemon knows the server, before its task has started."""
        assert self._daemon is not None
        while not await self._daemon.fleet.act(self.plan.name, Action.RESTART):  # noqa: ASYNC110
            await asyncio.sleep(INSTANT_S)

    async def until(self, is_so: Callable[[ServerView], object], within_s: float = 600.0) -> None:
        """Wait until the view is as it should be."""
        try:
            async with asyncio.timeout(within_s):
                while (view := self._view_or_none()) is None or not is_so(view):  # noqa: ASYNC110
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"it stays so: {self._view_or_none()}") from None

    async def until_state(self, state: State) -> None:
        """Wait until the server is in this state."""
        await self.until(lambda view: view.state is state)


def run_story(
    story: Callable[[RestartRig], Awaitable[None]],
    hook: Hook | None = None,
    profile: Profile = QUICK,
    *,
    with_other: bool = False,
) -> None:
    """Run the story in virtual time; raise what it asserts."""
    result = run_simulation(
        VirtualLoop, lambda folder: RestartRig(folder, story, hook or Hook(), profile, with_other=with_other)
    )
    assert result.violation is None, "\n".join([*result.trace, result.violation])
