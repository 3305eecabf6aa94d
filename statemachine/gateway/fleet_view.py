"""What the gateway knows of the servers: from the settings, the daemon, and its own connections to them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from statemachine.core.restart import RestartCause
from statemachine.core.vocabulary import Reason, State
from statemachine.routing.decision import Decision, Explanation, explain
from statemachine.settings import ServerConfig

MAX_SERVERS = 5
"""Servers that are tried for one prompt while none has received it."""

LEFT = "left"
"""The state of a server that has left the fleet, but has prompts that have not ended."""

_RANKS = {
    State.LOADED.value: 0,
    State.UNKNOWN.value: 1,
    State.CHECKING.value: 1,
    State.COLD.value: 2,
    State.AUTO_EXECUTING.value: 2,
    State.SUBMITTING.value: 2,
    State.WARMING.value: 2,
    State.FAILED.value: 3,
}
"""Lower is better. A server that is in none of these states gets no prompts."""


@dataclass(slots=True)
class Candidate:
    """A server that may get a prompt. `queued` is the length of its queue, None if unknown."""

    config: ServerConfig
    state: str = State.UNKNOWN.value
    queued: int | None = None
    is_counted: bool = False
    """Whether the length is from our own connection. The daemon's is older."""
    is_stuck: bool = False
    """Whether the daemon has diagnosed that it runs none of its prompts."""

    @property
    def name(self) -> str:
        """The server's name."""
        return self.config.name


@dataclass(frozen=True, slots=True)
class Choice:
    """The servers for a prompt, the best first, and why: what it needs and what it would find there."""

    servers: Sequence[Candidate]
    models: frozenset[str] | None = None
    decision: Decision | None = None

    def explain(self, server: str) -> Explanation:
        """Explain why the prompt went to this server."""
        return explain(server, self.models, self.decision)


class Chooser(Protocol):
    """Orders the servers for a prompt."""

    def choose(self, graph: Mapping[str, Any]) -> Choice:
        """Return the noted servers that may run the graph."""
        ...

    def note(self, candidate: Candidate) -> None:
        """Note a server, or its new state or queue length."""
        ...

    def forget(self, server: str) -> None:
        """Forget a server that has left."""
        ...

    def note_sent(self, server: str, prompt_id: str, graph: Mapping[str, Any]) -> None:
        """Note that a prompt is on its way to a server."""
        ...

    def note_started(self, server: str, prompt_id: str) -> None:
        """Note that a prompt has begun."""
        ...

    def note_ended(self, server: str, prompt_id: str, *, success: bool) -> None:
        """Note the end of a prompt."""
        ...

    def note_withdrawn(self, server: str, prompt_id: str) -> None:
        """Note that a prompt that was on its way to a server has not been queued there."""
        ...

    def note_lost(self, server: str) -> None:
        """Note that a server has lost its prompts, as after a restart."""
        ...


def rank(candidate: Candidate) -> int | None:
    """Return how warm a server is: lower is better. None: it gets no prompts."""
    return None if candidate.is_stuck else _RANKS.get(candidate.state)


def _is_stuck(server: Mapping[str, Any]) -> bool:
    """Return whether a server is restarted because it runs none of its prompts, or needs that and may not be."""
    match server:
        case {"state": State.DRAINING.value, "restart": {"cause": RestartCause.STUCK.value}}:
            return True
    return server.get("reason") == Reason.RESTART_LIMIT.value


class FleetView:
    """The servers of the settings and the discovered ones, with what is known of each."""

    def __init__(self, servers: Sequence[ServerConfig], chooser: Chooser) -> None:
        self._servers: dict[str, Candidate] = {}
        self._all: tuple[Candidate, ...] = ()
        self.chooser = chooser
        self.set_servers(servers)

    def __iter__(self) -> Any:
        return iter(self._all)

    def set_servers(self, servers: Sequence[ServerConfig], left: Collection[str] = ()) -> None:
        """Have these servers, of which those that have `left` get no prompts.

        What is known of a server stays while its configuration is the same.
        """
        before, self._servers = self._servers, {}
        for server in servers:
            known = before.pop(server.name, None)
            if known is None or known.config != server:
                self.chooser.forget(server.name)
                known = Candidate(server)
            self._servers[server.name] = known
            if server.name in left:
                known.state = LEFT
            elif known.state == LEFT:
                known.state = State.UNKNOWN.value
            self.chooser.note(known)
        for name in before:
            self.chooser.forget(name)
        self._all = tuple(self._servers.values())

    def get(self, name: str) -> Candidate | None:
        """Return a server, None if it is not in the fleet."""
        return self._servers.get(name)

    def note_status(self, servers: Sequence[Mapping[str, Any]]) -> None:
        """Note what the daemon publishes: entries of /api/status or of its event stream."""
        for one in servers:
            candidate = self._servers.get(str(one.get("name")))
            if candidate is None:
                continue
            candidate.state, candidate.is_stuck = str(one.get("state")), _is_stuck(one)
            if isinstance(queued := one.get("queue_remaining"), int) and not candidate.is_counted:
                candidate.queued = queued
            self.chooser.note(candidate)

    def note_queue(self, name: str, queued: int) -> None:
        """Note the length of a server's queue, from our own connection to it."""
        if (candidate := self._servers.get(name)) is not None:
            candidate.queued, candidate.is_counted = queued, True
            self.chooser.note(candidate)

    def note_disconnected(self, name: str) -> None:
        """Note that our own connection to a server has ended."""
        if (candidate := self._servers.get(name)) is not None:
            candidate.is_counted = False

    def choose(self, graph: Mapping[str, Any]) -> Choice:
        """Return the servers for a graph."""
        return self.chooser.choose(graph)
