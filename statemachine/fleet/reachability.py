"""Whether a server answers, noticed at the one place through which every request of its runner goes."""

from collections.abc import Callable

from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.transport import GATEWAY_ERRORS, Reply, Socket, Transport
from statemachine.core import events
from statemachine.core.server import Server
from statemachine.core.vocabulary import State


class WatchedTransport:
    """A transport that reports every failure, and the first answers after failures, to the server's mailbox."""

    def __init__(self, inner: Transport, server: Server, post: Callable[[events.Event], None]) -> None:
        self._inner = inner
        self._server = server
        self._post = post

    async def request(self, method: str, path: str, body: bytes | None = None) -> Reply:
        """See Transport. What a proxy says in the server's place counts as no answer."""
        try:
            reply = _from_server(await self._inner.request(method, path, body))
        except NotAnsweringError as error:
            self._post(events.NotAnswering(str(error)))
            raise
        if self._server.misses or self._server.state is State.UNREACHABLE:
            self._post(events.Answering())
        return reply

    async def connect(self, client_id: str) -> Socket:
        """See Transport. The link has its own care."""
        return await self._inner.connect(client_id)


def _from_server(reply: Reply) -> Reply:
    if reply.status in GATEWAY_ERRORS:
        raise NotAnsweringError(f"a proxy answers HTTP {reply.status}")
    return reply
