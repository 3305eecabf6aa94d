"""Whether a request comes from a program on this machine, and not through a proxy on it.

A proxy on this machine is a loopback client for every stranger that it serves. Most proxies add a header of their own
or send the Host that the stranger asked for. nginx's plain `proxy_pass` does neither: it sends the daemon's address as
Host, over HTTP/1.0 or with `Connection: close`.
"""

import re
from functools import lru_cache

from aiohttp import HttpVersion11, hdrs, web

from statemachine.settings.listen import is_loopback_address, is_loopback_name

_PROXY_NAMES = frozenset({"max-forwards", "x-host", "x-scheme", "x-url-scheme", "front-end-https"})
_PROXY_PREFIXES = ("x-client-", "x-cluster-", "cluster-client-", "ssl-client-", "true-client-")
_PROXY_WORD = re.compile(
    "(?:^|-)(?:akamai|amzn?|appengine|arr|azure|bluecoat|cdn|cf|clientip|cloud|edge|edgescape|envoy|fastly|fly|"
    "forward(?:ed|er)?|incap|ip|lb|nginx|ngrok|original|originating|prox(?:y|ied)|real|realip|remote|ssl|sucuri|"
    "surrogate|tailscale|traefik|varnish|vercel|via|wap|wl)(?:-|$)"
)
"""Words in headers of proxies, load balancers, content delivery networks and tunnels. Browsers send none of them."""

_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::[0-9]*)?")
"""A name or an address with a port. A login, a path or anything else beside them belongs in no `Host`."""


def is_local(request: web.Request, *, may_close: bool = False) -> bool:
    """Return whether nothing suggests that another machine sent the request.

    With `may_close` also one with `Connection: close` counts, which Python's urllib sends like some proxies.
    """
    hosts = request.headers.getall(hdrs.HOST, [])
    return (
        _is_loopback_client(request)
        and request.version >= HttpVersion11
        and len(hosts) == 1
        and is_loopback_name(host_name(hosts[0]))
        and request.raw_path.startswith("/")
        and (may_close or "close" not in _connection_options(request))
        and not any(is_proxy_header(name) for name in request.headers)
    )


@lru_cache(maxsize=256)
def is_proxy_header(name: str) -> bool:
    """Return whether only proxies send the header. Some write an underscore in place of the hyphen."""
    name = name.lower().replace("_", "-")
    return name in _PROXY_NAMES or name.startswith(_PROXY_PREFIXES) or _PROXY_WORD.search(name) is not None


@lru_cache(maxsize=64)
def host_name(host: str) -> str:
    """Return the host name in a `Host` header without port and brackets, or an empty string if it is not a host."""
    found = _HOST.fullmatch(host)
    return (found["ipv6"] or found["name"]).lower().rstrip(".") if found else ""


def _connection_options(request: web.Request) -> list[str]:
    values = ",".join(request.headers.getall(hdrs.CONNECTION, []))
    return [option.strip() for option in values.lower().split(",")]


def _is_loopback_client(request: web.Request) -> bool:
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return isinstance(peer, tuple) and is_loopback_address(str(peer[0]))
