"""Requests that a browser was tricked into: under a name that is not ours, or by the page of another site.

A name that its owner points at this machine (DNS rebinding) makes a foreign page count as ours in the browser's eyes,
so only known names are answered; an IP address cannot be pointed elsewhere. What other pages may do is said by the
browser itself, in `Origin` and `Sec-Fetch-Site`. Programs that are no browsers send neither and are let through.
"""

from collections.abc import Collection
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from statemachine.web.responses import ApiError

_OWN_PAGE = frozenset({"same-origin", "none"})
_SHOWN = 100


def only_own_sites(hosts: Collection[str]) -> Middleware:
    """Refuse the others. `hosts` are the names, without port, that are ours beside IP addresses and localhost."""
    names = frozenset(host.lower().rstrip(".") for host in hosts)

    @web.middleware
    async def refuse_others(request: web.Request, handler: Handler) -> web.StreamResponse:
        _refuse_foreign_name(request, names)
        _refuse_foreign_page(request, names)
        return await handler(request)

    return refuse_others


def _refuse_foreign_name(request: web.Request, names: frozenset[str]) -> None:
    for host in request.headers.getall(hdrs.HOST, []):
        name = _name_in(host)
        if not (name in names or _is_local(name) or _is_address(name)):
            message = f"this is not {host[:_SHOWN]!r}; if it is to be, add the name to listen.hosts in the settings"
            raise ApiError(HTTPStatus.MISDIRECTED_REQUEST, "unknown_host", message)


def _refuse_foreign_page(request: web.Request, names: frozenset[str]) -> None:
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and not _is_own(origin, request, names):
        message = f"this request comes from a page of {origin[:_SHOWN]!r}, not from comfywarm's own"
        raise ApiError(HTTPStatus.FORBIDDEN, "foreign_origin", message)
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in _OWN_PAGE and not _is_followed_link(request):
        message = "this request was made by the page of another site"
        raise ApiError(HTTPStatus.FORBIDDEN, "foreign_origin", message)


def _is_own(origin: str, request: web.Request, names: frozenset[str]) -> bool:
    """A reverse proxy may put its own name for ours in place of the browser's `Host`; that of `Origin` stays."""
    try:
        netloc = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return netloc in names or netloc == request.headers.get(hdrs.HOST, "").lower() != ""


def _is_followed_link(request: web.Request) -> bool:
    """Whether the reader went here, and no script, image or frame."""
    headers = request.headers
    is_page = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return is_page and request.method in {hdrs.METH_GET, hdrs.METH_HEAD}


@lru_cache(maxsize=64)
def _name_in(host: str) -> str:
    """The name in a `Host` header, without port and brackets; empty where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_local(name: str) -> bool:
    """RFC 6761: these names are never looked up elsewhere."""
    return name == "localhost" or name.endswith(".localhost")


@lru_cache(maxsize=64)
def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
