"""The fleet: every server's runner, started from what the journal remembers, stopped together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from statemachine.comfyui.checks import CacheCheck
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.transport import Transport
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events
from statemachine.core.attempt import Attempt
from statemachine.core.machine import Machine
from statemachine.core.server import Reachability, Server
from statemachine.core.vocabulary import Reason, State, Witness
from statemachine.fleet.desk import Desk, Shared
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.reachability import WatchedTransport
from statemachine.fleet.runner import Runner
from statemachine.publish.view import ServerDetail
from statemachine.settings.servers import ServerConfig

TransportFactory = Callable[[ServerConfig], Transport]

OPERATOR_EVENTS: Mapping[str, events.Event] = {
    "check": events.CheckRequested(),
    "warm": events.WarmRequested(),
    "pause": events.PauseRequested(),
    "resume": events.ResumeRequested(),
}


class Fleet:
    """Owns the runners. `workflows` holds every workflow that a server names."""

    def __init__(
        self,
        servers: Sequence[ServerConfig],
        workflows: Mapping[str, Workflow],
        shared: Shared,
        publisher: Publisher,
        transport_for: TransportFactory,
    ) -> None:
        machine = Machine()
        self._shared = shared
        self._runners = {
            config.name: Runner(machine, _desk(config, workflows, shared, transport_for(config)), publisher)
            for config in servers
        }

    async def start(self) -> None:
        """Take up what an earlier run left in flight or paused, then start every server."""
        in_flight = await self._shared.journal.read(lambda store: store.open_attempts())
        last_states = await self._shared.journal.read(lambda store: store.last_states())
        for attempt in in_flight:
            if attempt.server in self._runners:
                _take_up(self._runners[attempt.server].desk, attempt)
        for name, runner in self._runners.items():
            if last_states.get(name) == State.PAUSED.value:
                _keep_paused(runner.desk.server)
            runner.desk.server.since = self._shared.world.now()
            runner.start()

    async def stop(self) -> None:
        """Stop every server's work. Prompts in flight stay with their servers and are taken up by the next start."""
        await asyncio.gather(*(runner.stop() for runner in self._runners.values()))

    def act(self, server: str, action: str) -> bool:
        """Hand an operator's `check`, `warm`, `pause` or `resume` to a server; False where there is no such server."""
        runner = self._runners.get(server)
        if runner is not None:
            runner.post(OPERATOR_EVENTS[action])
        return runner is not None


def _desk(config: ServerConfig, workflows: Mapping[str, Workflow], shared: Shared, transport: Transport) -> Desk:
    own = {name: workflows[name] for name in config.workflows}
    reachability = Reachability(shared.settings.reachability.fall, shared.settings.reachability.rise)
    server = Server(config.name, reachability)
    watched = WatchedTransport(transport, server, lambda event: desk.post(event))  # noqa: PLW0108 - set by the runner
    client = ComfyClient(watched)
    desk = Desk(
        config=config,
        server=server,
        workflows=own,
        transport=watched,
        client=client,
        check=CacheCheck(client, config.cache_check.kind, config.cache_check.path, list(own.values())),
        shared=shared,
        detail=ServerDetail(),
        post=_not_started,
        announce=_not_started,
    )
    return desk


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
