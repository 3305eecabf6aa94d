"""The TCP port that HAProxy's agent-check asks: one line with a server's name in, one line with its verdict out.

One port speaks for the whole fleet, because `agent-send` says which server is meant. A client costs a socket and a
timer for about `PATIENCE_S` at most; whatever it does, it gets a line or a closed connection, and the loop goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from loguru import logger
from typing_extensions import override

from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.snapshot import Snapshot
from statemachine.settings.model import TrafficSettings

UNDECIDED = frozenset({State.UNKNOWN, State.CHECKING})

STEP_S = 0.3
"""How long each step of a verdict's renewal may take before the load balancer hears that the server is not loaded."""

RENEWAL_S = 2 * STEP_S
"""The wait for a check, and the check: so long at most may a server that is not loaded go on being held for warm."""


def verdict(view: ServerView | None) -> str:
    """One line without its end; empty where nothing has been found out since the daemon's start.

    Then the load balancer keeps what it had, and a restart of the daemon takes no server out.
    """
    if view is None:
        return "down #unknown server"
    if view.cache_loaded:
        return "up ready"
    if view.state is State.PAUSED:
        return "drain"
    if view.state in UNDECIDED and view.last_check is None:
        return ""
    return f"down #{view.state.value}: {view.reason.value}"


def settles_in(view: ServerView | None, now: float) -> float:
    """Seconds for which an answer is worth waiting for (`now` in epoch seconds); 0 where the verdict stands.

    Each end of a user's job makes the verdict stale until the next check has answered, mostly some milliseconds later.
    A load balancer that asks just then would take a warm server out until it asks again.
    """
    if view is None or not _is_being_renewed(view):
        return 0.0
    return min(STEP_S, max(0.0, view.since + STEP_S - now))


def _is_being_renewed(view: ServerView) -> bool:
    after_work = view.state is State.UNKNOWN and view.reason is Reason.FOREIGN_WORK_FINISHED
    return after_work or view.state is State.CHECKING


PATIENCE_S = 1.0
"""For the client's line. HAProxy sends it at once, and waits for `agent-inter`, by default 2 s."""

MAX_LINE = 1_024
"""Bytes. A name has at most 100 characters."""

MAX_CLIENTS = 1_000
"""Open at once; one more is closed unheard, and its load balancer keeps the verdict that it has."""

_BACKLOG = 1_024
_RELOOK_S = 0.02
_WARN_EVERY_S = 60.0


class Agent:
    """Answers for every server of the snapshot. `now` gives epoch seconds."""

    def __init__(self, snapshot: Snapshot, now: Callable[[], float], max_clients: int) -> None:
        self._snapshot = snapshot
        self._now = now
        self._max_clients = max_clients
        self._open: set[asyncio.BaseTransport] = set()
        self._warned_at: float | None = None

    def admit(self, client: asyncio.BaseTransport) -> bool:
        """Whether there is room for one more client."""
        if len(self._open) >= self._max_clients:
            self._warn()
            return False
        self._open.add(client)
        return True

    def leave(self, client: asyncio.BaseTransport) -> None:
        """The client's connection is gone."""
        self._open.discard(client)

    def close_all(self) -> None:
        """Hang up on everybody."""
        for client in list(self._open):
            cast(asyncio.Transport, client).abort()

    def settles_in(self, name: str) -> float:
        """As `verdict.settles_in`, for a server by its name."""
        return settles_in(self._snapshot.get(name), self._now())

    def verdict(self, name: str) -> str:
        """As `verdict.verdict`, for a server by its name."""
        return verdict(self._snapshot.get(name))

    def _warn(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._warned_at is None or now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            logger.warning("agent-check: {} clients are open at once; others are not heard", self._max_clients)


class Conversation(asyncio.Protocol):
    """One client: its line, perhaps a short wait for a check that is being asked, the answer."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._line = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = asyncio.get_running_loop().time() + PATIENCE_S

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the line, but not for long."""
        client = cast(asyncio.Transport, transport)
        if not self._agent.admit(client):
            client.abort()
            return
        self._transport = client
        self._later(PATIENCE_S, self._say, "down #no server named: set agent-send")

    @override
    def data_received(self, data: bytes) -> None:
        """Collect the line; what comes after it is not read."""
        if self._transport is None:
            return
        self._line += data
        line, ended, _ = self._line.partition(b"\n")
        if ended or len(self._line) > MAX_LINE:
            self._transport.pause_reading()
            self._consider(line[:MAX_LINE].decode("utf-8", "replace").strip())

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone, or has been answered."""
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._agent.leave(self._transport)

    def _consider(self, name: str) -> None:
        has_time = asyncio.get_running_loop().time() < self._until
        if has_time and (wait := self._agent.settles_in(name)):
            self._later(min(wait, _RELOOK_S), self._consider, name)
        else:
            self._say(self._agent.verdict(name))

    def _say(self, answer: str) -> None:
        """A line fits into any socket's buffer, so closing does not wait for the client to read it."""
        if self._transport is not None and not self._transport.is_closing():
            if answer:
                self._transport.write(f"{answer}\n".encode())
            self._transport.close()

    def _later(self, delay: float, call: Callable[[str], None], text: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, call, text)


@asynccontextmanager
async def answering_agent_checks(
    settings: TrafficSettings, snapshot: Snapshot, now: Callable[[], float], max_clients: int = MAX_CLIENTS
) -> AsyncIterator[tuple[str, int] | None]:
    """Listen as the settings say; gives the address, None where none is asked for.

    Raises OSError where the address cannot be had.
    """
    if settings.agent_port is None:
        yield None
        return
    agent = Agent(snapshot, now, max_clients)
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: Conversation(agent), settings.agent_host, settings.agent_port, backlog=_BACKLOG
        )
    except OSError as error:
        raise OSError(f"traffic.agent_host and agent_port: {error}") from error
    try:
        host, port = server.sockets[0].getsockname()[:2]
        logger.info("agent checks are answered at {}:{}", host, port)
        yield host, port
    finally:
        server.close()
        agent.close_all()
        await server.wait_closed()
