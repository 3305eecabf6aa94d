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
from statemachine.fleet.context import FleetContext, ServerContext
from statemachine.fleet.diff import Changes, Plan, compare
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.reachability import WatchedTransport
from statemachine.fleet.recovery import restore, restore_later
from statemachine.fleet.runner import ServerTask
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish.server_detail import ServerDetail
from statemachine.settings.model import Settings
from statemachine.settings.servers import ServerConfig

PROBE_SAMPLE = 10
"""How many other servers are asked when one falls silent and few were asked lately: twice what the detector needs."""

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
    """Own a task for each server. `workflows` maps each workflow that a server names to it, or to its error."""

    def __init__(
        self,
        servers: Sequence[ServerConfig],
        workflows: Mapping[str, Workflow | WorkflowError],
        fleet_context: FleetContext,
        publisher: Publisher,
        transport_for: TransportFactory,
    ) -> None:
        self._machine = Machine(fleet_context.settings.language)
        self._context = fleet_context
        self._publisher = publisher
        self._transport_for = transport_for
        self._plan = Plan(servers, workflows)
        self._tasks: set[asyncio.Task[None]] = set()
        self._beginning: asyncio.Task[None] | None = None
        self._leaving: list[ServerTask] = []
        self._is_stopped = False
        self._runners: dict[str, ServerTask] = {}
        fleet_context.outage.ask_others = self._ask_others

    @property
    def settings(self) -> Settings:
        """The settings that are in force."""
        return self._context.settings

    def show(self) -> None:
        """Make every server visible, as nothing is known of it yet: whoever looks sees the whole fleet or none."""
        for config in self._plan.servers:
            self._publisher.publish_initial(config, self._new_server(config))

    async def start(self) -> None:
        """Look after the servers that are ours, from now on."""
        self._spawn(self._read_system_info())
        await self._rebalance()

    async def acquire(self, servers: Collection[str]) -> None:
        """See Hands: go on with what was left in flight or paused, show them, and start them in the background."""
        if self._is_stopped:
            return
        configs = {config.name: config for config in self._plan.servers if config.name in servers}
        runners = {name: self._runner(config, self._new_server(config)) for name, config in configs.items()}
        self._runners |= runners
        started = await self._start(list(runners.values()))
        self._beginning = self._beginning or started

    async def release(self, servers: Collection[str]) -> None:
        """See Hands: whoever waits for a permit or an answer is cancelled."""
        self._leaving += [self._runners.pop(name) for name in servers if name in self._runners]
        await self._stop_removed()
        for name in servers:
            self._context.system_info.forget(name)

    async def wait_started(self) -> None:
        """Return once the work of all servers that were there at the start has begun."""
        if self._beginning is not None:
            await asyncio.wait((self._beginning,))

    async def stop(self) -> None:
        """Stop every server's work. Prompts in flight stay with their servers and are taken up by the next start."""
        self._is_stopped = True
        self._context.ownership.close()
        for task in self._tasks:
            task.cancel()
        self._leaving += self._runners.values()
        await self._stop_removed()

    @property
    def in_flight(self) -> frozenset[str]:
        """The servers with which a prompt of ours may be."""
        return frozenset(
            name for name, runner in self._runners.items() if runner.context.server.open_attempt is not None
        )

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
        before, self._plan = self._plan, Plan(servers, workflows)
        changes = compare(before, self._plan)
        self._context.apply(settings)
        configs = {config.name: config for config in servers}
        self._leaving += [self._runners.pop(name) for name in changes.removed if name in self._runners]
        changed = [self._replace(configs[name]) for name in changes.changed if name in self._runners]
        for name in (*changes.added, *(name for name in changes.changed if name not in self._runners)):
            self._publisher.publish_initial(configs[name], self._new_server(configs[name]))
        for runner in self._runners.values():
            runner.context.server.reachability = self._reachability
        await self._stop_removed()
        await self._begin(changed)
        await self._rebalance()
        self._publisher.set_order(list(configs))
        for name in changes.removed:
            self._context.permits.release(name)
            self._context.system_info.forget(name)
        return changes

    async def _rebalance(self) -> None:
        await self._context.ownership.set_servers([config.name for config in self._plan.servers], self)

    async def _stop_removed(self) -> None:
        await asyncio.gather(*(runner.stop() for runner in self._leaving))
        self._leaving.clear()

    async def _start(self, runners: Sequence[ServerTask]) -> asyncio.Task[None]:
        """Where the journal cannot be read the servers are watched all the same; the past is taken up once it can."""
        contexts = {runner.context.config.name: runner.context for runner in runners}
        try:
            await restore(self._context.journal, contexts)
        except JournalUnavailableError:
            self._spawn(restore_later(self._context.journal, contexts))
        for context in contexts.values():
            context.server.since = self._context.clock.now()
        return await self._begin(runners)

    async def _begin(self, runners: Sequence[ServerTask]) -> asyncio.Task[None]:
        """Show all of them now, with the prompts that they have in flight; their work begins in the background."""
        for number, runner in enumerate(runners, start=1):
            runner.place()
            if number % STARTED_AT_ONCE == 0:
                await asyncio.sleep(0)
        return self._spawn(self._start_in_turns(runners))

    async def _start_in_turns(self, runners: Sequence[ServerTask]) -> None:
        """As fast as they can be checked: what is under way for thousands at once takes memory, and brings nothing."""
        for number, runner in enumerate(runners, start=1):
            runner.start()
            if number % STARTED_AT_ONCE == 0:
                await self._room_for_checks()

    async def _room_for_checks(self) -> None:
        """Return once all that waited to be checked are being checked, or patience is at its end."""
        await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_PATIENCE_S), self._context.check_slots:
                return

    def _replace(self, config: ServerConfig) -> ServerTask:
        """A new runner, not started yet, for a server that is known: its memory goes along."""
        old = self._runners[config.name]
        self._leaving.append(old)
        runner = self._runners[config.name] = self._runner(config, old.context.server)
        runner.context.known_before = True
        runner.post(events.SettingsChanged())
        return runner

    def _runner(self, config: ServerConfig, server: Server) -> ServerTask:
        context = _context(config, self._plan.workflows, server, self._context, self._transport_for(config))
        return ServerTask(self._machine, context, self._publisher)

    def _new_server(self, config: ServerConfig) -> Server:
        return Server(config.name, self._reachability)

    @property
    def _reachability(self) -> Reachability:
        return Reachability(self.settings.reachability.fall, self.settings.reachability.rise)

    def _ask_others(self) -> None:
        """One request each to some servers that seemed well; what comes of it is noticed on its way."""
        well = [runner.context for runner in self._runners.values() if runner.context.server.state not in AWAY]
        well.sort(key=lambda context: context.server.consecutive_failures)
        for context in well[:: max(1, len(well) // PROBE_SAMPLE)][:PROBE_SAMPLE]:
            self._spawn(_ask_once(context))

    async def _read_system_info(self) -> None:
        await self.wait_started()
        await self._context.system_info.run()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _context(
    config: ServerConfig,
    workflows: Mapping[str, Workflow | WorkflowError],
    server: Server,
    fleet_context: FleetContext,
    transport: Transport,
) -> ServerContext:
    named = [workflows[name] for name in config.workflows]
    own = {one.name: one for one in named if isinstance(one, Workflow)}
    watched = WatchedTransport(transport, server, fleet_context.outage, lambda event: context.post(event))  # noqa: PLW0108 - set by the runner
    client = ComfyClient(watched)
    context = ServerContext(
        config=config,
        server=server,
        workflows=own,
        broken=tuple(one for one in named if isinstance(one, WorkflowError)),
        transport=watched,
        client=client,
        check=CacheCheck(client, kinds_of(config.cache_check.kind), config.cache_check.path, list(own.values())),
        fleet=fleet_context,
        detail=ServerDetail(),
        post=_not_started,
        announce=_not_started,
    )
    return context


async def _ask_once(context: ServerContext) -> None:
    with suppress(ComfyError):
        await context.client.queue_remaining()


def _not_started(_: object) -> None:
    raise RuntimeError("the context has no runner yet")
