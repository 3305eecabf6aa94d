"""The network that the client needs: HTTP exchanges and /ws connections.

`network.py` implements these protocols; tests replace them with a simulated network.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from statemachine.comfyui import server_json
from statemachine.comfyui.errors import AbsentError, AccessDeniedError, NotAnsweringError, NotUnderstoodError
from statemachine.core.messages import Message, message

OK = 200
NOT_FOUND = 404
REDIRECTS = frozenset({301, 302, 303, 307, 308})
GATEWAY_ERRORS = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer with its whole body. Redirects are not followed."""

    status: int
    body: bytes
    location: str = ""

    @property
    def text(self) -> str:
        """The body as UTF-8, without a byte order mark and with invalid bytes replaced."""
        return self.body.decode("utf-8-sig", "replace")

    def raise_for_status(self) -> "Reply":
        """Return the reply itself if its status is 200, else raise the matching ComfyError."""
        if self.status == OK:
            return self
        if self.status in GATEWAY_ERRORS:
            raise NotAnsweringError(message("proxy_status", status=self.status))
        if self.is_denial:
            raise AccessDeniedError(self._denial())
        if self.status == NOT_FOUND:
            raise AbsentError(message("no_route"))
        raise NotUnderstoodError(self._unexpected(), self.status, self.text)

    @property
    def is_denial(self) -> bool:
        """Whether the status is 401 or 403, or the reply redirects to a login page as ComfyUI-Login's does."""
        return self.status in (401, 403) or (self.status in REDIRECTS and "login" in self.location.lower())

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

    def _denial(self) -> Message:
        if self.location:
            return message("access_redirected", status=self.status, location=self.location)
        return message("access_denied", status=self.status)

    def _unexpected(self) -> Message:
        return message("unexpected_redirect", location=self.location) if self.location else message("unexpected_answer")


Receive = Callable[[str], None]
"""Takes the text of a frame."""


class Socket(Protocol):
    """One /ws connection. It is not reopened."""

    async def listen(self, receive: Receive) -> None:
        """Pass every text frame to `receive`, in order and as soon as it is read, until the connection ends.

        Raises NotAnsweringError with the cause of the end, or what `receive` raised; no frame is passed after that.
        Binary frames, which are previews, are skipped. May be called once.
        """
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Transport(Protocol):
    """The way to one server. Every call has a time limit and raises NotAnsweringError if no answer comes."""

    __slots__ = ()

    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        """Send a request and return the reply with any status.

        `path` begins with a slash and may have a query. A body is sent as JSON. `accept` is the Accept header.
        """
        ...

    async def connect(self, client_id: str) -> Socket:
        """Open /ws under this client id. Raises ConnectRefusedError, AccessDeniedError or NotAnsweringError."""
        ...
