"""The network that the client needs: HTTP exchanges and /ws connections.

`network.py` implements these protocols; tests replace them with a simulated network.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

import orjson

from statemachine.comfyui import server_json
from statemachine.comfyui.errors import (
    RAW_SHOWN,
    AbsentError,
    AccessDeniedError,
    NotAnsweringError,
    NotUnderstoodError,
    RateLimitedError,
)
from statemachine.comfyui.extra_data import without_credentials
from statemachine.comfyui.response_headers import auth_schemes, is_sign_in
from statemachine.core.messages import Message, message

OK = 200
ABSENT = frozenset({404, 410})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
DENIALS = frozenset({401, 403, 407, 511})
TOO_MANY_REQUESTS = 429
GATEWAY_ERRORS = frozenset({408, 444, 460, 463, 499, *range(502, 600)}) - DENIALS
"""Statuses that ComfyUI and its plug-ins do not send: a proxy or tunnel did not reach it. 444 and 499 are nginx's, 460
and 463 those of AWS, 509, 529 and 540 those of hosts that take an application away, 520 to 530 are Cloudflare's."""

MAX_PAUSE_S = 3600.0
"""The longest Retry-After that is respected; every wait is bounded."""

MOST_SHOWN_S = 10**9
"""A Retry-After without end is shown as this many seconds."""

ALWAYS_THERE = ("GET", "/prompt")
"""The request that every ComfyUI answers, and cheaply. A tunnel without a server answers 404 on every route."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer with its whole body. Redirects are not followed.

    `challenge` is the header WWW-Authenticate; `retry_after_s` is None without an intelligible header Retry-After.
    `url` is the requested one.
    """

    status: int
    body: bytes
    location: str = ""
    challenge: str = ""
    retry_after_s: float | None = None
    url: str = ""

    @property
    def text(self) -> str:
        """The body as UTF-8, without a byte order mark and with invalid bytes replaced."""
        return self.body.decode("utf-8-sig", "replace")

    def raise_for_gateway(self, method: str, path: str) -> "Reply":
        """Return the reply to this request, unless a proxy, tunnel or rate limit answered in ComfyUI's place.

        Raises NotAnsweringError or RateLimitedError.
        """
        if self.status in GATEWAY_ERRORS:
            raise NotAnsweringError(message("proxy_status", status=self.status))
        if self.status == TOO_MANY_REQUESTS:
            raise RateLimitedError(self._quoting(self._limit()), self.retry_after_s, self.text)
        if self.is_absent and (method, path) == ALWAYS_THERE:
            raise NotAnsweringError(message("no_comfyui", status=self.status))
        return self

    def raise_for_status(self) -> "Reply":
        """Return the reply itself if its status is 200, else raise the matching ComfyError."""
        if self.status == OK:
            return self
        self.raise_for_gateway("", "")
        if self.is_denial:
            raise AccessDeniedError(self.denial, self.text)
        if self.is_absent:
            raise AbsentError(message("no_route"))
        raise NotUnderstoodError(self._unexpected(), self.status, self.text)

    @property
    def is_absent(self) -> bool:
        """Whether the server has no such route, or a tunnel has no server."""
        return self.status in ABSENT

    @property
    def is_denial(self) -> bool:
        """Whether credentials are required: 401, 403, or a redirect to a sign-in page as ComfyUI-Login's."""
        return self.status in DENIALS or (self.status in REDIRECTS and is_sign_in(self.location, self.url))

    @property
    def denial(self) -> Message:
        """What a denial asks for, with the beginning of its text."""
        if self.status in REDIRECTS:
            location = self.location[:RAW_SHOWN]
            return self._quoting(message("access_redirected", status=self.status, location=location))
        schemes = auth_schemes(self.challenge[:RAW_SHOWN])
        if schemes:
            return self._quoting(message("access_needs_scheme", status=self.status, schemes=", ".join(schemes)))
        return self._quoting(message("access_denied", status=self.status))

    def json_object(self) -> dict[str, Any]:
        """Return the body, which must be a JSON object. Raises NotUnderstoodError."""
        try:
            value = server_json.loads(self.body)
        except orjson.JSONDecodeError as error:
            what = message("not_json", error=error.msg) if self.body else message("empty_body")
            raise NotUnderstoodError(what, self.status, self.text) from error
        if not isinstance(value, dict):
            raise NotUnderstoodError(message("not_json_object"), self.status, self.text)
        return value

    def _limit(self) -> Message:
        if self.retry_after_s is None:
            return message("rate_limited", status=self.status)
        seconds = math.ceil(min(self.retry_after_s, MOST_SHOWN_S))
        if self.retry_after_s > MAX_PAUSE_S:
            return message("rate_limited_longer", status=self.status, seconds=seconds, longest=int(MAX_PAUSE_S))
        return message("rate_limited_for", status=self.status, seconds=seconds)

    def _unexpected(self) -> Message:
        if not self.location:
            return message("unexpected_answer")
        return message("unexpected_redirect", location=self.location[:RAW_SHOWN])

    def _quoting(self, what: Message) -> Message:
        """Return the message with the beginning of the answer's text, on one line."""
        text = without_credentials(" ".join(self.body[: 8 * RAW_SHOWN].decode("utf-8", "replace").split()))
        return message("quoted", what=what, raw=repr(text[:RAW_SHOWN])) if text else what


Receive = Callable[[str], None]
"""Takes the text of a frame."""


class StreamTrouble(Enum):
    """What is noteworthy about the stream of a /ws connection."""

    FLOOD = auto()  # the server sends more than is read at once
    CALM = auto()  # the flood has ended
    CUT = auto()  # a text was too long and was cut


Report = Callable[[StreamTrouble], None]


def no_report(_: StreamTrouble) -> None:
    """Report nothing."""


class Socket(Protocol):
    """One /ws connection. It is not reopened."""

    async def listen(self, receive: Receive, report: Report = no_report) -> None:
        """Pass every text frame to `receive`, in order and as soon as it is read, until the connection ends.

        The texts are as the server has sent them. Pass what is shown of them through `hide`.

        Raises NotAnsweringError with the cause of the end, or what `receive` raised; no frame is passed after that.
        Binary frames, which are previews, are skipped. `report` gets troubles of the stream. May be called once.
        """
        ...

    def hide(self, text: str) -> str:
        """Return a text of a frame, or its beginning, without the secrets that the server was sent."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Transport(Protocol):
    """The way to one server. Every call has a time limit and raises NotAnsweringError if no answer comes.

    Wrappers of it may also raise RateLimitedError.
    """

    __slots__ = ()

    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        """Send a request and return the reply with any status.

        `path` begins with a slash and may have a query. A body is sent as JSON. `accept` is the Accept header.
        """
        ...

    async def connect(self, client_id: str) -> Socket:
        """Open /ws under this client id.

        Raises ConnectRefusedError, AccessDeniedError, RateLimitedError or NotAnsweringError.
        """
        ...
