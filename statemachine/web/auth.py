"""Who may ask for an action: whoever has the token or, where none is set, whoever sits at this machine.

Requests that a browser was tricked into are refused before, in `origin`, whatever they ask for.
"""

import hmac
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address

from aiohttp import hdrs, web
from pydantic import SecretStr

from statemachine.web.responses import ApiError

_PROXY_HEADERS = (hdrs.FORWARDED, hdrs.X_FORWARDED_FOR, "X-Real-IP")


def authorise(request: web.Request, token: SecretStr | None) -> None:
    """Raise ApiError unless the request may change something."""
    if token is not None:
        _require_token(request, token.get_secret_value())
    elif not _from_this_machine(request):
        message = "without listen.token in the settings, actions are taken only from the machine itself"
        raise ApiError(HTTPStatus.FORBIDDEN, "loopback_only", message)


def _require_token(request: web.Request, token: str) -> None:
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    # Compared as bytes, in a time that does not depend on where they differ.
    same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode())
    if scheme.lower() != "bearer" or not same:
        message = "this needs the header 'Authorization: Bearer TOKEN' with the token of listen.token"
        raise ApiError(HTTPStatus.UNAUTHORIZED, "token_required", message, {hdrs.WWW_AUTHENTICATE: "Bearer"})


def _from_this_machine(request: web.Request) -> bool:
    """Whether the peer is loopback; behind a proxy the peer is only the proxy, and says nothing."""
    if any(name in request.headers for name in _PROXY_HEADERS) or request.transport is None:
        return False
    peer = request.transport.get_extra_info("peername")
    return isinstance(peer, tuple) and _is_loopback(str(peer[0]))


def _is_loopback(address: str) -> bool:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback
