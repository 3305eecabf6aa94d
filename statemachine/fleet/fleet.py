"""The fleet: every server's runner, started from what the journal remembers, stopped together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from statemachine.comfyui.checks import CacheCheck
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import ComfyError
from statemachine.comfyui.transport import Transport
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core import events
from statemachine.core.attempt import Attempt
from statemachine.core.machine import Machine
from statemachine.core.server import Reachability, Server
from statemachine.core.vocabulary import Reason, State, Witness
from statemachine.fleet.desk import Desk, Shared
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.reachability import WatchedTransport
from statemachine.fleet.runner import Runner
from statemachine.journal.journal import JournalUnavailableError
from statemachine.journal.store import JournalStore
from statemachine.publish.view import ServerDetail
from statemachine.settings.servers import ServerConfig

LATE_PAUSE_S = 2.0

OPINIONS = 10
"""How many other servers are asked when one falls silent and few were asked lately: twice what the brake needs."""

AWAY = frozenset({State.UNREACHABLE, State.PAUSED})

TransportFactory = Callable[[ServerConfig], Transport]

OPERATOR_EVENTS: Mapping[str, events.Event] = {
    "check": events.CheckRequested(),
    "warm": events.WarmRequested(),
    "pause": events.PauseRequested(),
    "resume": events.ResumeRequested(),
}


class Fleet:
    """Owns the runners. `workflows` holds every workflow that a server names, or why its file cannot be used."""

    def __init__(
        self,
        servers: Sequence[ServerConfig],
        workflows: Mapping[str, Workflow | WorkflowError],
        shared: Shared,
        publisher: Publisher,
        transport_for: TransportFactory,
    ) -> None:
        machine = Machine(shared.settings.language)
        self._shared = shared
        self._late: asyncio.Task[None] | None = None
        self._runners = {
            config.name: Runner(machine, _desk(config, workflows, shared, transport_for(config)), publisher)
            for config in servers
        }
        shared.herd.ask_others = self._ask_others
        self._opinions: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take up what an earlier run left in flight or paused, then start every server.

        Where the journal cannot be read, the servers are watched all the same, and the past is taken up once it can.
        """
        try:
            await self._take_up_the_past()
        except JournalUnavailableError:
            self._late = asyncio.get_running_loop().create_task(self._take_up_later())
        for runner in self._runners.values():
            runner.desk.server.since = self._shared.world.now()
            runner.start()

    async def stop(self) -> None:
        """Stop every server's work. Prompts in flight stay with their servers and are taken up by the next start."""
        if self._late is not None:
            self._late.cancel()
        for task in self._opinions:
            task.cancel()
        await asyncio.gather(*(runner.stop() for runner in self._runners.values()))

    def _ask_others(self) -> None:
        """One request each to some servers that seemed well; what comes of it is noticed on its way."""
        well = [runner.desk for runner in self._runners.values() if runner.desk.server.state not in AWAY]
        well.sort(key=lambda desk: desk.server.misses)
        for desk in well[:: max(1, len(well) // OPINIONS)][:OPINIONS]:
            task = asyncio.get_running_loop().create_task(_ask_once(desk))
            self._opinions.add(task)
            task.add_done_callback(self._opinions.discard)

    async def _take_up_the_past(self) -> None:
        in_flight = await self._shared.journal.read(JournalStore.open_attempts)
        last_states = await self._shared.journal.read(JournalStore.last_states)
        for attempt in in_flight:
            if attempt.server in self._runners:
                _take_up(self._runners[attempt.server].desk, attempt)
        for name, state in last_states.items():
            if name in self._runners:
                self._runners[name].desk.known_before = True
                if state == State.PAUSED.value:
                    _keep_paused(self._runners[name].desk.server)

    async def _take_up_later(self) -> None:
        """Attempts only: a server that has been watched for a while has a state of its own."""
        while True:
            await asyncio.sleep(LATE_PAUSE_S)
            with suppress(JournalUnavailableError):
                in_flight = await self._shared.journal.read(JournalStore.open_attempts)
                break
        for attempt in in_flight:
            runner = self._runners.get(attempt.server)
            if runner is not None and runner.desk.server.open_attempt is None:
                _take_up(runner.desk, attempt)

    def act(self, server: str, action: str) -> bool:
        """Hand an operator's `check`, `warm`, `pause` or `resume` to a server; False where there is no such server."""
        runner = self._runners.get(server)
        if runner is not None:
            runner.post(OPERATOR_EVENTS[action])
        return runner is not None


def _desk(
    config: ServerConfig, workflows: Mapping[str, Workflow | WorkflowError], shared: Shared, transport: Transport
) -> Desk:
    named = [workflows[name] for name in config.workflows]
    own = {one.name: one for one in named if isinstance(one, Workflow)}
    reachability = Reachability(shared.settings.reachability.fall, shared.settings.reachability.rise)
    server = Server(config.name, reachability)
    watched = WatchedTransport(transport, server, shared.herd, lambda event: desk.post(event))  # noqa: PLW0108 - set by the runner
    client = ComfyClient(watched)
    desk = Desk(
        config=config,
        server=server,
        workflows=own,
        broken=tuple(one for one in named if isinstance(one, WorkflowError)),
        transport=watched,
        client=client,
        check=CacheCheck(client, config.cache_check.kind, config.cache_check.path, list(own.values())),
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


def _take_up(desk: Desk, attempt: Attempt) -> None:
    """An attempt that the journal left open: its graph's figures come from the workflow, if that still exists."""
    workflow = desk.workflows.get(attempt.workflow)
    if workflow is not None:
        attempt.total_nodes = len(workflow.graph)
        attempt.cache_nodes = {node.node_id: node.key for node in workflow.cache_nodes}
    attempt.last_progress_at = desk.shared.world.now()
    desk.server.attempt = attempt


def _keep_paused(server: Server) -> None:
    server.state, server.reason, server.witness = State.PAUSED, Reason.PAUSE_REQUESTED, Witness.OPERATOR
    server.message = "paused by the operator before the daemon's last start"
