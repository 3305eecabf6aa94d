"""The fleet: a runner for each server that is ours, started from what the journal remembers, changed by a reload."""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from statemachine.comfyui.checks import CacheCheck, kinds_of
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import ComfyError
from statemachine.comfyui.transport import Transport
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core import events
from statemachine.core.machine import Machine
from statemachine.core.server import Reachability, Server
from statemachine.core.vocabulary import State
from statemachine.fleet.context import Desk, Shared
from statemachine.fleet.diff import Blueprint, Changes, compare
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.reachability import WatchedTransport
from statemachine.fleet.recovery import take_up_later, take_up_the_past
from statemachine.fleet.runner import Runner
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish.server_detail import ServerDetail
from statemachine.settings.model import Settings
from statemachine.settings.servers import ServerConfig

OPINIONS = 10
"""How many other servers are asked when one falls silent and few were asked lately: twice what the brake needs."""

STARTED_AT_ONCE = 20
"""Servers whose work begins before others have their turn: all of them dial and ask at once."""

START_PATIENCE_S = 0.2
"""How long the next servers wait for those before them, of which some may never answer."""

AWAY = frozenset({State.UNREACHABLE, State.PAUSED})

TransportFactory = Callable[[ServerConfig], Transport]

OPERATOR_EVENTS: Mapping[str, events.Event] = {
    "check": events.CheckRequested(),
    "warm": events.WarmRequested(),
    "pause": events.PauseRequested(),
    "resume": events.ResumeRequested(),
}


class Fleet:
    """Owns the runners, and lets them be shared out. `workflows` holds every workflow that a server names, or why its
    file cannot be used.
    """

    def __init__(
        self,
        servers: Sequence[ServerConfig],
        workflows: Mapping[str, Workflow | WorkflowError],
        shared: Shared,
        publisher: Publisher,
        transport_for: TransportFactory,
    ) -> None:
        self._machine = Machine(shared.settings.language)
        self._shared = shared
        self._publisher = publisher
        self._transport_for = transport_for
        self._blueprint = Blueprint(servers, workflows)
        self._tasks: set[asyncio.Task[None]] = set()
        self._beginning: asyncio.Task[None] | None = None
        self._leaving: list[Runner] = []
        self._is_stopped = False
        self._runners: dict[str, Runner] = {}
        shared.herd.ask_others = self._ask_others

    @property
    def settings(self) -> Settings:
        """The settings that are in force."""
        return self._shared.settings

    def show(self) -> None:
        """Make every server visible, as nothing is known of it yet: whoever looks sees the whole fleet or none."""
        for config in self._blueprint.servers:
            self._publisher.show(config, self._new_server(config))

    async def start(self) -> None:
        """Look after the servers that are ours, from now on."""
        self._keep(self._take_census())
        await self._share()

    async def take_up(self, servers: Collection[str]) -> None:
        """See Hands: go on with what was left in flight or paused, show them, and start them in the background."""
        if self._is_stopped:
            return
        configs = {config.name: config for config in self._blueprint.servers if config.name in servers}
        runners = {name: self._runner(config, self._new_server(config)) for name, config in configs.items()}
        self._runners |= runners
        started = await self._start(list(runners.values()))
        self._beginning = self._beginning or started

    async def lay_down(self, servers: Collection[str]) -> None:
        """See Hands: whoever waits for a permit or an answer is cancelled."""
        self._leaving += [self._runners.pop(name) for name in servers if name in self._runners]
        await self._see_off()
        for name in servers:
            self._shared.census.forget(name)

    async def begun(self) -> None:
        """Return once the work of all servers that were there at the start has begun."""
        if self._beginning is not None:
            await asyncio.wait((self._beginning,))

    async def stop(self) -> None:
        """Stop every server's work. Prompts in flight stay with their servers and are taken up by the next start."""
        self._is_stopped = True
        self._shared.ownership.rest()
        for task in self._tasks:
            task.cancel()
        self._leaving += self._runners.values()
        await self._see_off()

    @property
    def in_flight(self) -> frozenset[str]:
        """The servers with which a prompt of ours may be."""
        return frozenset(name for name, runner in self._runners.items() if runner.desk.server.open_attempt is not None)

    def act(self, server: str, action: str) -> bool:
        """Hand an operator's `check`, `warm`, `pause` or `resume` to a server; False where we look after none such."""
        runner = self._runners.get(server)
        if runner is not None:
            runner.post(OPERATOR_EVENTS[action])
        return runner is not None

    async def reconfigure(
        self, settings: Settings, servers: Sequence[ServerConfig], workflows: Mapping[str, Workflow | WorkflowError]
    ) -> Changes:
        """Put other settings in force. Servers for which nothing changes notice nothing.

        A removed server's prompt stays with it, and in the journal; a changed server keeps its open attempt.
        """
        before, self._blueprint = self._blueprint, Blueprint(servers, workflows)
        changes = compare(before, self._blueprint)
        self._shared.apply(settings)
        configs = {config.name: config for config in servers}
        self._leaving += [self._runners.pop(name) for name in changes.removed if name in self._runners]
        changed = [self._replace(configs[name]) for name in changes.changed if name in self._runners]
        for name in (*changes.added, *(name for name in changes.changed if name not in self._runners)):
            self._publisher.show(configs[name], self._new_server(configs[name]))
        for runner in self._runners.values():
            runner.desk.server.reachability = self._reachability
        await self._see_off()
        await self._begin(changed)
        await self._share()
        self._publisher.arrange(list(configs))
        for name in changes.removed:
            self._shared.permits.release(name)
            self._shared.census.forget(name)
        return changes

    async def _share(self) -> None:
        await self._shared.ownership.share([config.name for config in self._blueprint.servers], self)

    async def _see_off(self) -> None:
        await asyncio.gather(*(runner.stop() for runner in self._leaving))
        self._leaving.clear()

    async def _start(self, runners: Sequence[Runner]) -> asyncio.Task[None]:
        """Where the journal cannot be read the servers are watched all the same; the past is taken up once it can."""
        desks = {runner.desk.config.name: runner.desk for runner in runners}
        try:
            await take_up_the_past(self._shared.journal, desks)
        except JournalUnavailableError:
            self._keep(take_up_later(self._shared.journal, desks))
        for desk in desks.values():
            desk.server.since = self._shared.world.now()
        return await self._begin(runners)

    async def _begin(self, runners: Sequence[Runner]) -> asyncio.Task[None]:
        """Show all of them now, with the prompts that they have in flight; their work begins in the background."""
        for number, runner in enumerate(runners, start=1):
            runner.place()
            if number % STARTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return self._keep(self._start_in_turns(runners))

    async def _start_in_turns(self, runners: Sequence[Runner]) -> None:
        """As fast as they can be checked: what is under way for thousands at once takes memory, and brings nothing."""
        for number, runner in enumerate(runners, start=1):
            runner.start()
            if number % STARTED_AT_ONCE == 0:
                await self._room_for_checks()

    async def _room_for_checks(self) -> None:
        """Return once all that waited to be checked are being checked, or patience is at its end."""
        await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_PATIENCE_S), self._shared.check_slots:
                return

    def _replace(self, config: ServerConfig) -> Runner:
        """A new runner, not started yet, for a server that is known: its memory goes along."""
        old = self._runners[config.name]
        self._leaving.append(old)
        runner = self._runners[config.name] = self._runner(config, old.desk.server)
        runner.desk.known_before = True
        runner.post(events.SettingsChanged())
        return runner

    def _runner(self, config: ServerConfig, server: Server) -> Runner:
        desk = _desk(config, self._blueprint.workflows, server, self._shared, self._transport_for(config))
        return Runner(self._machine, desk, self._publisher)

    def _new_server(self, config: ServerConfig) -> Server:
        return Server(config.name, self._reachability)

    @property
    def _reachability(self) -> Reachability:
        return Reachability(self.settings.reachability.fall, self.settings.reachability.rise)

    def _ask_others(self) -> None:
        """One request each to some servers that seemed well; what comes of it is noticed on its way."""
        well = [runner.desk for runner in self._runners.values() if runner.desk.server.state not in AWAY]
        well.sort(key=lambda desk: desk.server.misses)
        for desk in well[:: max(1, len(well) // OPINIONS)][:OPINIONS]:
            self._keep(_ask_once(desk))

    async def _take_census(self) -> None:
        await self.begun()
        await self._shared.census.run()

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _desk(
    config: ServerConfig,
    workflows: Mapping[str, Workflow | WorkflowError],
    server: Server,
    shared: Shared,
    transport: Transport,
) -> Desk:
    named = [workflows[name] for name in config.workflows]
    own = {one.name: one for one in named if isinstance(one, Workflow)}
    watched = WatchedTransport(transport, server, shared.herd, lambda event: desk.post(event))  # noqa: PLW0108 - set by the runner
    client = ComfyClient(watched)
    desk = Desk(
        config=config,
        server=server,
        workflows=own,
        broken=tuple(one for one in named if isinstance(one, WorkflowError)),
        transport=watched,
        client=client,
        check=CacheCheck(client, kinds_of(config.cache_check.kind), config.cache_check.path, list(own.values())),
        shared=shared,
        detail=ServerDetail(),
        post=_not_started,
        announce=_not_started,
    )
    return desk


async def _ask_once(desk: Desk) -> None:
    with suppress(ComfyError):
        await desk.client.queue_remaining()


def _not_started(_: object) -> None:
    raise RuntimeError("the desk has no runner yet")
