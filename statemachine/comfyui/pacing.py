"""Respect the rate limit of a server: after a 429, send nothing until its pause has passed."""

import asyncio
import math
from collections.abc import Callable

from typing_extensions import override

from statemachine.comfyui.errors import RateLimitedError, TooLargeError
from statemachine.comfyui.transport import MAX_PAUSE_S, Reply, Socket, Transport
from statemachine.core.messages import message

MOST_DOUBLINGS = 32

LARGE_AGAIN_S = 30.0
LARGE_AGAIN_AT_MOST_S = 600.0
"""The pause of a path whose answer was too large. It doubles each time."""

MOST_LARGE_ROUTES = 100
"""Routes of one server that are remembered. Paths contain the ids of prompts and the names of node classes."""


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


class LargeRoutes:
    """The paths of one server whose last answer was too large, each with its error and a growing pause."""

    __slots__ = ("_errors",)

    def __init__(self) -> None:
        self._errors: dict[str, tuple[TooLargeError, RequestPause]] = {}

    def check(self, method: str, path: str) -> None:
        """Raise TooLargeError while the pause of the path lasts. A POST is never withheld."""
        error, pause = self._errors.get(path, (None, None)) if method == "GET" else (None, None)
        if error is not None and pause is not None and pause.left_s > 0:
            raise _again_in(pause.left_s, error)

    def begin(self, method: str, path: str, error: TooLargeError) -> TooLargeError:
        """Begin a pause of the path and return the error that names it."""
        if method != "GET":
            return error
        _, pause = self._errors.pop(path, (None, None))
        pause = pause or RequestPause(lambda: LARGE_AGAIN_S, lambda: LARGE_AGAIN_AT_MOST_S)
        pause.begin(None)
        self._errors[path] = error, pause
        if len(self._errors) > MOST_LARGE_ROUTES:
            del self._errors[next(iter(self._errors))]
        return _again_in(pause.left_s, error)

    def answered(self, path: str) -> None:
        """Forget a path that was answered within its bound."""
        self._errors.pop(path, None)


def _again_in(seconds: float, error: TooLargeError) -> TooLargeError:
    what = message("asked_again_in", what=error.what, seconds=math.ceil(seconds))
    return TooLargeError(what, error.status, error.raw)


class PacedTransport(Transport):
    """Raise RateLimitedError in place of every request until the server's pause has passed.

    A 429 of /ws delays only the next connection, or the server would get no warm-up where /ws is always limited. A path
    whose answer was too large is paused by itself.
    """

    __slots__ = ("_dial_pause", "_inner", "_large", "_pause")

    def __init__(self, inner: Transport, pause: RequestPause) -> None:
        self._inner = inner
        self._pause = pause
        self._dial_pause = pause.separate()
        self._large = LargeRoutes()

    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        """Send a request. Raises NotAnsweringError or RateLimitedError unless the server itself answers.

        Raises TooLargeError in place of a request whose answer was too large a moment ago.
        """
        _check(self._pause)
        self._large.check(method, path)
        try:
            reply = (await self._inner.request(method, path, body, accept)).raise_for_gateway(method, path)
        except RateLimitedError as error:
            self._pause.begin(error.retry_after_s)
            raise
        except TooLargeError as error:
            raise self._large.begin(method, path, error) from error
        self._pause.answered()
        self._large.answered(path)
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
