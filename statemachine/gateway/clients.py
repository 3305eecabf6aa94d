"""Which client sent a request, and how much it may do at a time."""

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from http import HTTPStatus

from aiohttp import hdrs, web
from pydantic import SecretStr

from statemachine.gateway.errors import GatewayError
from statemachine.gateway.metrics import GatewayMetrics
from statemachine.web.local import is_local

LOCAL = ""
"""The one client of a gateway without tokens: all programs of this machine."""
MAX_REQUESTS = 64
"""Requests of one client that are handled at a time, uploads and downloads included."""
MAX_SOCKETS = 200
"""/ws connections of one client."""

_MISSING = "missing token; send the header 'Authorization: Bearer TOKEN', or ?token=TOKEN"
_WRONG = "wrong token; it equals no token of gateway.tokens"
_LOOPBACK_ONLY = "without tokens the gateway serves only this machine, and not through a proxy; set gateway.tokens"


class Clients:
    """The clients of the settings, by their tokens."""

    def __init__(self, tokens: Mapping[str, SecretStr], metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._names = {digest(token.get_secret_value()): name for name, token in tokens.items()}
        self._busy: Counter[tuple[str, int]] = Counter()

    def identify(self, request: web.Request) -> str:
        """Return the name of the client. Raises GatewayError if it may not use the gateway.

        Digests are looked up, so the time of a comparison does not depend on a token.
        """
        if not self._names:
            if not is_local(request, may_close=True):
                raise GatewayError(HTTPStatus.FORBIDDEN, "loopback_only", _LOOPBACK_ONLY)
            return LOCAL
        name = self._names.get(digest(given_token(request)))
        if name is None:
            raise refusal(request, _MISSING, _WRONG)
        return name

    def busy(self, client: str) -> int:
        """Return how many requests and connections of a client are open."""
        return sum(count for (name, _), count in self._busy.items() if name == client)

    @contextmanager
    def request(self, client: str, limit: int) -> Iterator[None]:
        """Count a request within the block, of a kind that has this limit. Raises GatewayError above it."""
        kind = (client, limit)
        if self._busy[kind] >= limit:
            self._metrics.limit_reached(client, "connections" if limit == MAX_SOCKETS else "requests")
            message = f"{limit} requests or connections of this client are already open; close some"
            raise GatewayError(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", message, {"Retry-After": "1"})
        self._busy[kind] += 1
        try:
            yield
        finally:
            self._busy[kind] -= 1


def given_token(request: web.Request) -> str:
    """Return the token in the only Authorization header or, since browsers set none on /ws, in the query."""
    headers = request.headers.getall(hdrs.AUTHORIZATION, [""])
    if len(headers) > 1:
        return ""
    scheme, _, given = headers[0].partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() == "basic":
        with suppress(ValueError):
            return base64.b64decode(given).decode().partition(":")[2]
    return request.query.get("token", "")


def refusal(request: web.Request, missing: str, wrong: str) -> GatewayError:
    """Return the error 401. The challenge of a wrong token says so (RFC 6750, section 3.1)."""
    is_wrong = given_token(request) != ""
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"' if is_wrong else "Bearer"}
    return GatewayError(HTTPStatus.UNAUTHORIZED, "token_required", wrong if is_wrong else missing, headers)


def digest(text: str) -> bytes:
    """Return a hash of a token, which is looked up in its place."""
    return sha256(text.encode("utf-8", "surrogateescape")).digest()
