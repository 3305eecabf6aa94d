"""What the client needs of a network: one HTTP exchange, and one-use /ws connections.

The real one is in `network.py`; a simulated network can stand in its place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from statemachine.comfyui.errors import AbsentError, AccessDeniedError, NotAnsweringError, NotUnderstoodError
from statemachine.core.messages import Message, message

GATEWAY_ERRORS = frozenset({502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})
OK = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, its body read (up to the transport's limit). Redirects are never followed."""

    status: int
    body: bytes
    location: str = ""

    @property
    def text(self) -> str:
        """The body as UTF-8, bad bytes replaced."""
        return self.body.decode("utf-8", "replace")

    def raise_for_status(self) -> "Reply":
        """Itself where the status is 200; else the ComfyError that the status means."""
        if self.status == OK:
            return self
        if self.status in GATEWAY_ERRORS:
            raise NotAnsweringError(message("proxy_status", status=self.status))
        if self.is_denial:
            raise AccessDeniedError(self._denial())
        if self.status == 404:  # noqa: PLR2004
            raise AbsentError(message("no_route"))
        raise NotUnderstoodError(self._surprise(), self.status, self.text)

    @property
    def is_denial(self) -> bool:
        """401, 403, or a redirect to a login page (ComfyUI-Login answers so)."""
        return self.status in (401, 403) or (self.status in REDIRECTS and "login" in self.location.lower())

    def _denial(self) -> Message:
        if self.location:
            return message("access_redirected", status=self.status, location=self.location)
        return message("access_denied", status=self.status)

    def _surprise(self) -> Message:
        return message("unexpected_redirect", location=self.location) if self.location else message("unexpected_answer")

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object; NotUnderstoodError where it is none."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            what = message("not_json", error=error.msg) if self.body else message("empty_body")
            raise NotUnderstoodError(what, self.status, self.text) from error
        if not isinstance(value, dict):
            raise NotUnderstoodError(message("not_json_object"), self.status, self.text)
        return value


Receive = Callable[[str], None]
"""Takes a text frame."""


class Socket(Protocol):
    """One /ws connection: used once, then closed for good."""

    async def listen(self, receive: Receive) -> None:
        """Hand every text frame to `receive`, in order and as soon as it is read, until the connection ends.

        Raises NotAnsweringError with the cause of the end, or what `receive` raised: nothing is handed over after that.
        Binary frames are previews and are skipped. To be called once.
        """
        ...

    async def close(self) -> None:
        """End the connection."""
        ...


class Transport(Protocol):
    """A way to one server. Every call is bounded in time and raises NotAnsweringError where nothing comes back."""

    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        """One exchange. `path` begins with a slash and may have a query; a body is sent as JSON.

        `accept` is the kind of answer that is wanted, where the server knows several (the header of that name).
        """
        ...

    async def connect(self, client_id: str) -> Socket:
        """Open /ws under this client id. Raises ConnectRefusedError, AccessDeniedError or NotAnsweringError."""
        ...


class ConnectRefusedError(NotAnsweringError):
    """Nothing listens at the server's address: its process is away."""
