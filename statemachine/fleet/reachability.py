"""Observe whether servers answer, in the transport that carries every request of a server."""

import math
from collections.abc import Callable
from contextlib import suppress

from typing_extensions import override

from statemachine.comfyui.errors import ComfyError, ConnectRefusedError, NotAnsweringError
from statemachine.comfyui.transport import ALWAYS_THERE, Reply, Socket, Transport
from statemachine.core import events
from statemachine.core.outage import OutageChange, OutageDetector
from statemachine.core.server import Server
from statemachine.core.vocabulary import IN_FLIGHT, Notice, State
from statemachine.fleet.clock import loop_time

EXPECTED_SILENCE = frozenset({State.UNREACHABLE, State.RESTARTING})


class OutageGuard:
    """The outage detector of the fleet, and its notices."""

    def __init__(
        self, detector: OutageDetector, notify: Callable[[Notice], None], ask_others: Callable[[], None]
    ) -> None:
        self._detector = detector
        self._notify = notify
        self._asked_others_at = -math.inf
        self._ask_others = ask_others

    @property
    def holds(self) -> bool:
        """Whether verdicts and submissions are held."""
        return self._detector.engaged

    def observe(self, server: Server, *, answered: bool) -> None:
        """Observe an answer or its absence.

        The silence of a server that is unreachable or being restarted, or that has not answered a check yet, is not a
        sign of an outage.
        """
        if not answered and (server.state in EXPECTED_SILENCE or server.last_check is None):
            return
        change = self._detector.observe(server.name, loop_time(), answered=answered)
        if not answered and server.consecutive_failures >= server.reachability.fall - 2:
            self._ask_others_if_few()
        if change is not None:
            self._notify(Notice.FLEET_VANISHED if change is OutageChange.ENGAGED else Notice.FLEET_BACK)

    def _ask_others_if_few(self) -> None:
        """Probe other servers before this one becomes unreachable, if few were asked recently."""
        if self._detector.knows_little and loop_time() - self._asked_others_at > self._detector.window_s:
            self._asked_others_at = loop_time()
            self._ask_others()


class WatchedTransport(Transport):
    """Post every failure, and the first answers after failures, to the server's mailbox.

    `inner` raises NotAnsweringError for the status of a proxy or tunnel (see `PacedTransport`).
    """

    __slots__ = ("_inner", "_outage", "_post", "_server")

    def __init__(
        self, inner: Transport, server: Server, outage: OutageGuard, post: Callable[[events.Event], None]
    ) -> None:
        self._inner = inner
        self._server = server
        self._outage = outage
        self._post = post

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        """Send a request. A rate limit, and a 404 until GET /prompt was asked, do not count as an answer or a failure.

        A request that was sent during a hold stays held, even if it ends after the release.
        """
        held = self._outage.holds
        try:
            reply = await self._inner.request(method, path, body, accept)
        except NotAnsweringError as error:
            refused = isinstance(error, ConnectRefusedError)
            if not refused and (method, path) != ALWAYS_THERE and self._looks_up_before_falling:
                with suppress(ComfyError):
                    await self.request(*ALWAYS_THERE)
                raise
            self._outage.observe(self._server, answered=refused)
            self._post(events.NotAnswering(error.message, held=held or self._outage.holds, refused=refused))
            raise
        if reply.is_absent:
            return reply
        self._outage.observe(self._server, answered=True)
        if self._server.consecutive_failures or self._server.state is State.UNREACHABLE:
            self._post(events.Answering())
        return reply

    @property
    def _looks_up_before_falling(self) -> bool:
        """Whether our prompt is looked up, and one more failure makes the server unreachable.

        A route of the lookup may hang alone. The cheapest request then counts in its place.
        """
        return (
            self._server.state in IN_FLIGHT and self._server.consecutive_failures >= self._server.reachability.fall - 1
        )

    @override
    async def connect(self, client_id: str) -> Socket:
        return await self._inner.connect(client_id)
