"""Respect the rate limit of a server: after a 429, send nothing until its pause has passed."""

import asyncio
import math
from collections.abc import Callable

from typing_extensions import override

from statemachine.comfyui.errors import RateLimitedError
from statemachine.comfyui.transport import MAX_PAUSE_S, Reply, Socket, Transport
from statemachine.core.messages import message

MOST_DOUBLINGS = 32


class RequestPause:
    """The time until which a server is sent nothing.

    It is what Retry-After asks for, and at least `shortest_s`, which doubles with each 429 in a row up to `longest_s`.
    A row ends when requests are answered for as long as its last pause: other routes may answer all the time.
    """

    __slots__ = ("_length_s", "_longest_s", "_shortest_s", "_tries", "_until")

    def __init__(self, shortest_s: Callable[[], float], longest_s: Callable[[], float]) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._tries = 0
        self._length_s = 0.0
        self._until = -math.inf

    @property
    def left_s(self) -> float:
        """The seconds until requests are allowed again; 0 if they are."""
        return max(0.0, self._until - asyncio.get_running_loop().time())

    def begin(self, wanted_s: float | None) -> None:
        """Begin a pause after a 429; `wanted_s` is its Retry-After."""
        backoff_s = min(self._longest_s(), self._shortest_s() * 2.0**self._tries)
        self._tries = min(self._tries + 1, MOST_DOUBLINGS)
        self._length_s = min(MAX_PAUSE_S, max(backoff_s, wanted_s or 0.0))
        self._until = max(self._until, asyncio.get_running_loop().time() + self._length_s)

    def answered(self) -> None:
        """Forget earlier limits if the last pause ended long enough ago."""
        if asyncio.get_running_loop().time() >= self._until + self._length_s:
            self._tries = 0

    def separate(self) -> "RequestPause":
        """Return a pause of its own with the same bounds."""
        return RequestPause(self._shortest_s, self._longest_s)


class PacedTransport(Transport):
    """Raise RateLimitedError in place of every request until the server's pause has passed.

    A 429 of /ws delays only the next connection, or the server would get no warm-up where /ws is always limited.
    """

    __slots__ = ("_dial_pause", "_inner", "_pause")

    def __init__(self, inner: Transport, pause: RequestPause) -> None:
        self._inner = inner
        self._pause = pause
        self._dial_pause = pause.separate()

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        """Send a request. Raises NotAnsweringError or RateLimitedError unless the server itself answers."""
        _check(self._pause)
        try:
            reply = (await self._inner.request(method, path, body, accept)).raise_for_gateway(method, path)
        except RateLimitedError as error:
            self._pause.begin(error.retry_after_s)
            raise
        self._pause.answered()
        return reply

    @override
    async def connect(self, client_id: str) -> Socket:
        _check(self._pause)
        _check(self._dial_pause)
        try:
            socket = await self._inner.connect(client_id)
        except RateLimitedError as error:
            self._dial_pause.begin(error.retry_after_s)
            raise
        self._dial_pause.answered()
        return socket


def _check(pause: RequestPause) -> None:
    left_s = pause.left_s
    if left_s > 0:
        raise RateLimitedError(message("limit_lasts", seconds=math.ceil(left_s)), left_s)
