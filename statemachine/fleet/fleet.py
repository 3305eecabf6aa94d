"""The fleet: one task for each server that this daemon owns, started from the journal and changed by a reload."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import Any

from statemachine.comfyui.checks import CacheCheck, kinds_of
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import ComfyError
from statemachine.comfyui.pacing import PacedTransport, RequestPause
from statemachine.comfyui.workflow import WorkflowError
from statemachine.core import events
from statemachine.core.duties import Waiting
from statemachine.core.machine import Machine
from statemachine.core.messages import message
from statemachine.core.outage import OutageDetector
from statemachine.core.pause import NO_TERMS, PauseTerms
from statemachine.core.ports import Action, ActionRefusedError, NotOwnedError, Terms
from statemachine.core.restart import NO_RESTART_TERMS, RestartTerms
from statemachine.core.server import Reachability, Server
from statemachine.core.vocabulary import State
from statemachine.fleet.check_slots import CheckSlots, Pace
from statemachine.fleet.context import FleetContext, FleetPorts, ServerContext
from statemachine.fleet.diff import Changes, LoadedConfig, compare, wanted_workflows
from statemachine.fleet.permits import PermitLine
from statemachine.fleet.reachability import OutageGuard, WatchedTransport
from statemachine.fleet.recovery import restore, restore_later
from statemachine.fleet.restart_requests import post_stored, wait_started
from statemachine.fleet.runner import Mailbox, ServerTask
from statemachine.i18n.render import worded
from statemachine.journal.port import JournalUnavailableError
from statemachine.settings.model import Timing
from statemachine.settings.servers import ServerConfig

PROBE_SAMPLE = 10
"""Other servers that are asked when one falls silent and few were asked lately: twice what the detector needs."""

START_BATCH = 20
"""Servers that start together: all of them connect and check at once."""

START_PATIENCE_S = 0.2
"""How long a batch waits for the one before it, of which some servers may never answer."""

AWAY = frozenset({State.UNREACHABLE, State.PAUSED, State.RESTARTING})

OPERATOR_EVENTS: Mapping[Action, type[events.CheckRequested | events.WarmRequested | events.ResumeRequested]] = {
    Action.CHECK: events.CheckRequested,
    Action.WARM: events.WarmRequested,
    Action.RESUME: events.ResumeRequested,
}


class ManagedFleet:
    """Own a task for each server. It is the Operator of its own servers and the ServerHost of its Ownership."""

    def __init__(self, config: LoadedConfig, ports: FleetPorts) -> None:
        self._machine = Machine()
        self._transport_for = ports.transport_for
        self._context = FleetContext(
            config=config,
            clock=ports.clock,
            journal=ports.journal,
            recorder=ports.recorder,
            permits=ports.permits,
            publisher=ports.publisher,
            ownership=ports.ownership,
            counters=ports.counters,
            outage=OutageGuard(OutageDetector(), ports.recorder.notice, self._probe_others),
            check_slots=CheckSlots(config.settings.limits.max_checks),
            permit_line=PermitLine(ports.permits),
            hooks=ports.hooks,
            claims=ports.claims,
        )
        self._context.counters.set_warm_up_limit(config.settings.limits.max_warming)
        self._configs = {server.name: server for server in config.servers}
        self._servers: dict[str, ServerTask] = {}
        self._leaving: list[ServerTask] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._unrestored: set[str] = set()
        """Servers whose saved state cannot be read yet: a restart of theirs may have run its hook already."""

    @property
    def config(self) -> LoadedConfig:
        """The active configuration."""
        return self._context.config

    def show(self) -> None:
        """Publish every server as unknown, so that a reader sees the whole fleet or none of it."""
        for config in self.config.servers:
            self._context.publisher.publish_initial(config, self._new_server(config))
        self._context.publisher.set_order([config.name for config in self.config.servers])

    async def start(self) -> None:
        """Look after the servers that this daemon owns, from now on."""
        self._spawn(self._read_system_info())
        await self._rebalance()

    async def acquire(self, servers: Collection[str]) -> None:
        """Restore what was in flight or paused, publish the servers, and start them in the background."""
        if self._is_stopped:
            return
        configs = [self._configs[name] for name in servers if name in self._configs]
        acquired = {config.name: self._new_task(config, self._new_server(config)) for config in configs}
        self._servers |= acquired
        started = await self._restore_and_start(list(acquired.values()))
        self._starting = self._starting or started

    async def release(self, servers: Collection[str]) -> None:
        """Cancel all work for these servers. Prompts in flight stay with them."""
        self._leaving += [self._servers.pop(name) for name in servers if name in self._servers]
        await self._stop_removed()
        for name in servers:
            self._context.system_info.forget(name)

    async def wait_started(self) -> None:
        """Return once the servers that were owned at the start have been started."""
        if self._starting is not None:
            await asyncio.wait((self._starting,))

    async def stop(self) -> None:
        """Stop every server's work. Prompts in flight stay with their servers; the next start resumes them."""
        self._is_stopped = True
        self._context.ownership.close()
        for task in self._tasks:
            task.cancel()
        self._leaving += self._servers.values()
        await self._stop_removed()
        hooks = [hook.task for hook in self._context.running_hooks.values()]
        for hook in hooks:
            hook.cancel()
        await asyncio.gather(*hooks, return_exceptions=True)

    @property
    def in_flight(self) -> frozenset[str]:
        """The servers that may have a prompt of ours, or whose restart hook has begun: no other node takes them now."""
        return frozenset(name for name, task in self._servers.items() if _is_in_flight(task.context.server))

    async def act(self, server: str, action: Action, by: str | None = None, terms: Terms = NO_TERMS) -> bool:
        """Post an operator's action to a server; return False if this daemon does not look after it.

        Raises ActionRefusedError for the restart of a server without a hook, also of one that another node owns, and
        NotStoredError. Raises NotOwnedError for a restart while it is not known whether an earlier one is open.
        """
        if action is Action.RESTART:
            self._require_hook(server)
            self._require_restored(server)
        if (known := self._servers.get(server)) is not None:
            await wait_started(lambda: self._servers.get(server), known.context, action)
        task = self._servers.get(server)
        if task is not None:
            await post_stored(task.context, action, self._event(task, action, by, terms))
        return task is not None

    def _event(self, task: ServerTask, action: Action, by: str | None, terms: Terms) -> events.OperatorEvent:
        if action is Action.RESTART:
            if task.context.server.state is State.PAUSED:
                raise ActionRefusedError(message("restart_paused", server=task.context.config.name))
            cause, restart_id = terms if isinstance(terms, RestartTerms) else NO_RESTART_TERMS
            return events.RestartRequested(restart_id or self._context.clock.new_id(), cause, by)
        if action is Action.PAUSE:
            return events.PauseRequested(by, terms if isinstance(terms, PauseTerms) else NO_TERMS)
        return OPERATOR_EVENTS[action](by)

    def _require_hook(self, server: str) -> None:
        config = self._configs.get(server)
        if config is not None and config.restart.hook is None:
            raise ActionRefusedError(message("restart_no_hook", server=server))

    def _require_restored(self, server: str) -> None:
        if server in self._unrestored:
            raise NotOwnedError(f"what was saved of {server} cannot be read at the moment; try again in a few seconds")

    async def apply(self, config: LoadedConfig, *, ends_pauses: bool = False) -> Changes:
        """Make `config` the active one. Servers for which nothing changes keep their tasks.

        A removed server keeps its prompt, as does the journal. A changed server keeps its open attempt. With
        `ends_pauses` the pauses of removed servers end: what has their names later is another machine.
        """
        changes = compare(self.config, config)
        if ends_pauses:
            self._end_pauses(changes.removed)
        self._context.apply(config)
        self._configs = configs = {server.name: server for server in config.servers}
        self._leaving += [self._servers.pop(name) for name in changes.removed if name in self._servers]
        changed = [self._replace(configs[name]) for name in changes.changed if name in self._servers]
        for name in (*changes.added, *(name for name in changes.changed if name not in self._servers)):
            self._context.publisher.publish_initial(configs[name], self._new_server(configs[name]))
        for name, task in self._servers.items():
            task.context.server.reachability = self._reachability
            task.configure(configs[name])
        await self._stop_removed()
        await self._start(changed)
        await self._rebalance()
        self._context.publisher.set_order(list(configs))
        for name in changes.removed:
            self._context.permits.release(name)
            self._context.system_info.forget(name)
        return changes

    def _end_pauses(self, names: Collection[str]) -> None:
        for task in (self._servers[name] for name in names if name in self._servers):
            if task.context.server.state is State.PAUSED:
                task.context.post(events.PauseEnded())

    async def _rebalance(self) -> None:
        await self._context.ownership.set_servers([config.name for config in self.config.servers], self)

    async def _stop_removed(self) -> None:
        await asyncio.gather(*(task.stop() for task in self._leaving))
        self._leaving.clear()

    async def _restore_and_start(self, tasks: Sequence[ServerTask]) -> asyncio.Task[None]:
        """If the journal cannot be read, watch the servers anyway and restore their attempts when it can."""
        contexts = {task.context.config.name: task.context for task in tasks}
        try:
            await restore(self._context.journal, contexts)
        except JournalUnavailableError:
            self._unrestored |= contexts.keys()
            self._spawn(self._restore_later(contexts))
        for context in contexts.values():
            context.server.since = self._context.clock.now()
        return await self._start(tasks)

    async def _restore_later(self, contexts: Mapping[str, ServerContext]) -> None:
        await restore_later(self._context.journal, contexts)
        self._unrestored -= contexts.keys()

    async def _start(self, tasks: Sequence[ServerTask]) -> asyncio.Task[None]:
        """Publish all of them now, with the prompts that they have in flight; start them in the background."""
        for number, task in enumerate(tasks, start=1):
            task.publish_current()
            if number % START_BATCH == 0:
                await asyncio.sleep(0)
        return self._spawn(self._start_in_batches(tasks))

    async def _start_in_batches(self, tasks: Sequence[ServerTask]) -> None:
        """Start servers no faster than they can be checked: thousands of pending checks would only take memory."""
        for number, task in enumerate(tasks, start=1):
            task.start()
            if number % START_BATCH == 0:
                await self._wait_for_check_slot()

    async def _wait_for_check_slot(self) -> None:
        await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_PATIENCE_S), self._context.check_slots.slot(Pace()):
                return

    def _replace(self, config: ServerConfig) -> ServerTask:
        """Return a new task, not started yet, for a known server. It keeps the server's memory."""
        old = self._servers[config.name]
        self._leaving.append(old)
        task = self._servers[config.name] = self._new_task(config, old.context.server)
        task.context.known_before, task.context.ages = True, old.context.ages
        task.context.earlier_hook_until = old.context.earlier_hook_until
        task.context.hook_due, old.context.hook_due = old.context.hook_due, None
        task.context.post(events.SettingsChanged())
        return task

    def _new_task(self, config: ServerConfig, server: Server) -> ServerTask:
        mailbox = Mailbox()
        context = self._new_context(config, server, mailbox)
        return ServerTask(self._machine, context, mailbox)

    def _new_context(self, config: ServerConfig, server: Server, mailbox: Mailbox) -> ServerContext:
        named = [self.config.workflows[name] for name in config.workflows]
        usable = wanted_workflows(config, named)
        timing = self._timing
        pause = RequestPause(lambda: timing().retry_s, lambda: timing().failed_retry_s)
        paced = PacedTransport(self._transport_for(config), pause)
        transport = WatchedTransport(paced, server, self._context.outage, mailbox.post)
        client = ComfyClient(transport)
        return ServerContext(
            config=config,
            server=server,
            workflows=usable,
            broken=tuple(one for one in named if isinstance(one, WorkflowError)),
            transport=transport,
            client=client,
            check=CacheCheck(client, kinds_of(config.cache_check.kind), config.cache_check.path, list(usable.values())),
            fleet=self._context,
            post=mailbox.post,
            pause=pause,
        )

    def _timing(self) -> Timing:
        return self._context.settings.timing

    def _new_server(self, config: ServerConfig) -> Server:
        what = worded(message("wait.start"), self._context.settings.language)
        return Server(config.name, self._reachability, waiting=Waiting(what))

    @property
    def _reachability(self) -> Reachability:
        settings = self._context.settings.reachability
        return Reachability(settings.fall, settings.rise)

    def _probe_others(self) -> None:
        """Send one request to some servers that seemed well; their transports observe the answers."""
        well = [task.context for task in self._servers.values() if task.context.server.state not in AWAY]
        well.sort(key=lambda context: context.server.consecutive_failures)
        for context in well[:: max(1, len(well) // PROBE_SAMPLE)][:PROBE_SAMPLE]:
            self._spawn(_probe(context))

    async def _read_system_info(self) -> None:
        await self.wait_started()
        await self._context.system_info.run()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _is_in_flight(server: Server) -> bool:
    restart = server.open_restart
    return server.open_attempt is not None or (restart is not None and restart.has_hook_begun)


async def _probe(context: ServerContext) -> None:
    with suppress(ComfyError):
        await context.client.queue_remaining()
