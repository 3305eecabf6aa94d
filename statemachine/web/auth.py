"""Access control: which sites may send requests.

DNS rebinding makes a foreign page look like this site to the browser, so only known host names are served; an IP
address cannot be rebound. Browsers report the requesting page in `Origin` and `Sec-Fetch-Site`. Other programs send
neither header and are allowed.
"""

from collections.abc import Collection
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from statemachine.settings.listen import is_loopback_name
from statemachine.web.local import host_name
from statemachine.web.responses import ApiError, quoted
from statemachine.web.route import ApiResponse
from statemachine.web.schemas import ErrorSchema

REFUSALS = (
    ApiResponse(403, "A page of another site sent the request.", ErrorSchema),
    ApiResponse(421, "The host name in the Host header is not in listen.hosts.", ErrorSchema),
)
"""Responses of `only_own_sites`, which any route may give."""

_OWN_PAGE = frozenset({"same-origin", "none"})
_PAGE_SCHEMES = frozenset({"http", "https"})


def only_own_sites(hosts: Collection[str], setting: str = "listen.hosts") -> Middleware:
    """Return middleware that refuses foreign hosts and pages.

    `hosts` are the allowed host names without port, from this setting; IP addresses and localhost are always allowed.
    """
    names = frozenset(host.lower().rstrip(".") for host in hosts)

    @web.middleware
    async def refuse_others(request: web.Request, handler: Handler) -> web.StreamResponse:
        _refuse_foreign_host(request, names, setting)
        _refuse_foreign_page(request, names, setting)
        return await handler(request)

    return refuse_others


def _refuse_foreign_host(request: web.Request, names: frozenset[str], setting: str) -> None:
    for host in request.headers.getall(hdrs.HOST, []):
        name = host_name(host)
        if not (name in names or is_loopback_name(name) or _is_address(name)):
            message = f"host {quoted(host)} is not allowed; add it to {setting}"
            raise ApiError(HTTPStatus.MISDIRECTED_REQUEST, "unknown_host", message)


def _refuse_foreign_page(request: web.Request, names: frozenset[str], setting: str) -> None:
    """Refuse the request if any of its headers is one of a foreign page: a header that is repeated may hide another."""
    for origin in request.headers.getall(hdrs.ORIGIN, []):
        if not _is_own_origin(origin, request, names):
            remedy = f"add its host to {setting}"
            if host_name(origin.rpartition("/")[2].lower()) in names:
                remedy = "let the proxy forward Host with its port"
            message = f"origin {quoted(origin)} is not allowed; {remedy}"
            raise ApiError(HTTPStatus.FORBIDDEN, "foreign_origin", message)
    sites = request.headers.getall("Sec-Fetch-Site", [])
    if not _OWN_PAGE.issuperset(sites) and not _is_followed_link(request):
        message = "requests from pages of other sites are not allowed"
        raise ApiError(HTTPStatus.FORBIDDEN, "foreign_origin", message)


def _is_own_origin(origin: str, request: web.Request, names: frozenset[str]) -> bool:
    """Compare with `names` too, since a reverse proxy may replace `Host` while `Origin` stays as it was."""
    scheme, _, host = origin.lower().partition("://")
    return scheme in _PAGE_SCHEMES and (host in names or host == request.headers.get(hdrs.HOST, "").lower() != "")


def _is_followed_link(request: web.Request) -> bool:
    """Return whether the user navigated here, as opposed to a request by a script, an image or a frame."""
    headers = request.headers
    is_page = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return is_page and request.method in {"GET", hdrs.METH_HEAD}


@lru_cache(maxsize=64)
def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
