"""The TCP port for HAProxy's agent checks. A client sends a server's name on a line and receives its verdict on a line.

One port serves the whole fleet, because `agent-send` names the server. A client costs one socket and one timer for at
most about `LINE_TIMEOUT_S`. It receives a line or a closed connection for anything it sends.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from loguru import logger
from typing_extensions import override

from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.snapshot import Snapshot
from statemachine.settings.model import TrafficSettings

STEP_S = 0.3
"""Time that each step of a verdict's renewal may take before the server is reported as not loaded."""

RENEWAL_S = 2 * STEP_S
"""Maximum delay of the report that a server is no longer loaded: the wait for a check, and the check."""

LINE_TIMEOUT_S = 1.0
"""Time for the client to send its line. HAProxy sends it at once and waits for `agent-inter`, by default 2 s."""

MAX_LINE = 1_024
"""Maximum length of a line in bytes. A name has at most 100 characters."""

MAX_CLIENTS = 1_000
"""Maximum number of open connections. Others are closed at once, and their load balancer keeps its last verdict."""

_UNDECIDED = frozenset({State.UNKNOWN, State.CHECKING})
_BACKLOG = 1_024
_POLL_S = 0.02
_WARN_INTERVAL_S = 60.0


def verdict(view: ServerView | None) -> str:
    """Return the verdict on a server as a line without its end.

    It is empty if nothing is known yet since the daemon's start. The load balancer then keeps its last verdict, so that
    a restart of the daemon takes no server out of service.
    """
    if view is None:
        return "down #unknown server"
    if view.cache_loaded:
        return "up ready"
    if view.state is State.PAUSED:
        return "drain"
    if view.state in _UNDECIDED and view.last_check is None:
        return ""
    return f"down #{view.state.value}: {view.reason.value}"


def renewal_wait(view: ServerView | None, now: float) -> float:
    """Return for how many seconds a new verdict is worth waiting; `now` is epoch seconds.

    The end of another client's prompt makes the verdict stale until the next check, mostly for some milliseconds. A
    load balancer that asks in this time would take a warm server out of service until it asks again.
    """
    if view is None or not _is_being_renewed(view):
        return 0.0
    return min(STEP_S, max(0.0, view.since + STEP_S - now))


def _is_being_renewed(view: ServerView) -> bool:
    after_work = view.state is State.UNKNOWN and view.reason is Reason.FOREIGN_WORK_FINISHED
    return after_work or view.state is State.CHECKING


class Agent:
    """Returns the verdict on every server of the snapshot, and counts clients. `now` returns epoch seconds."""

    def __init__(self, snapshot: Snapshot, now: Callable[[], float], max_clients: int) -> None:
        self._snapshot = snapshot
        self._now = now
        self._max_clients = max_clients
        self._clients: set[asyncio.BaseTransport] = set()
        self._warned_at: float | None = None

    def admit(self, client: asyncio.BaseTransport) -> bool:
        """Register a client; return False if too many are connected."""
        if len(self._clients) >= self._max_clients:
            self._warn()
            return False
        self._clients.add(client)
        return True

    def remove(self, client: asyncio.BaseTransport) -> None:
        """Forget a client that has disconnected."""
        self._clients.discard(client)

    def close_all(self) -> None:
        """Disconnect all clients."""
        for client in list(self._clients):
            cast(asyncio.Transport, client).abort()

    def renewal_wait(self, name: str) -> float:
        """Return for how many seconds a new verdict on a server is worth waiting."""
        return renewal_wait(self._snapshot.get(name), self._now())

    def verdict(self, name: str) -> str:
        """Return the verdict on a server."""
        return verdict(self._snapshot.get(name))

    def _warn(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._warned_at is None or now - self._warned_at >= _WARN_INTERVAL_S:
            self._warned_at = now
            logger.warning("agent-check: all {} connections are in use; closing new ones", self._max_clients)


class AgentConnection(asyncio.Protocol):
    """The connection of one client: its line, a short wait if a check is running, the verdict."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._line = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = asyncio.get_running_loop().time() + LINE_TIMEOUT_S

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        client = cast(asyncio.Transport, transport)
        if not self._agent.admit(client):
            client.abort()
            return
        self._transport = client
        self._call_later(LINE_TIMEOUT_S, self._send, "down #no server name received: set agent-send")

    @override
    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._line += data
        line, ended, _ = self._line.partition(b"\n")
        if ended or len(self._line) > MAX_LINE:
            self._transport.pause_reading()
            self._respond(line[:MAX_LINE].decode("utf-8", "replace").strip())

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._agent.remove(self._transport)

    def _respond(self, name: str) -> None:
        """Send the verdict, or poll for a new one while it is being renewed."""
        has_time = asyncio.get_running_loop().time() < self._deadline
        if has_time and (wait := self._agent.renewal_wait(name)):
            self._call_later(min(wait, _POLL_S), self._respond, name)
        else:
            self._send(self._agent.verdict(name))

    def _send(self, line: str) -> None:
        """Send a line and close. It fits into the socket's buffer, so closing does not wait for the client."""
        if self._transport is not None and not self._transport.is_closing():
            if line:
                self._transport.write(f"{line}\n".encode())
            self._transport.close()

    def _call_later(self, delay: float, call: Callable[[str], None], text: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay, call, text)


@asynccontextmanager
async def answering_agent_checks(
    settings: TrafficSettings, snapshot: Snapshot, now: Callable[[], float], max_clients: int = MAX_CLIENTS
) -> AsyncIterator[tuple[str, int] | None]:
    """Serve agent checks; yield the address, or None if `traffic.agent_port` is not set.

    Raises OSError if the address cannot be bound.
    """
    if settings.agent_port is None:
        yield None
        return
    agent = Agent(snapshot, now, max_clients)
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: AgentConnection(agent), settings.agent_host, settings.agent_port, backlog=_BACKLOG
        )
    except OSError as error:
        reason = error.strerror or str(error)
        address = f"traffic.agent_host {settings.agent_host!r} and traffic.agent_port {settings.agent_port}"
        raise OSError(f"cannot listen on {address}: {reason}") from error
    try:
        host, port = server.sockets[0].getsockname()[:2]
        logger.info("serving agent checks on {}:{}", host, port)
        yield host, port
    finally:
        server.close()
        agent.close_all()
        await server.wait_closed()
