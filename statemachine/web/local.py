"""Whether a request comes from a program on this machine, and not through a proxy on it.

A proxy on this machine is a loopback client for every stranger that it serves. Most proxies add a header of their own
or send the Host that the stranger asked for. nginx's plain `proxy_pass` does neither: it sends the daemon's address as
Host, over HTTP/1.0 or with `Connection: close`.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, hdrs, web

from statemachine.settings.listen import is_loopback_address, is_loopback_name

_PROXY_HEADERS = frozenset({"forwarded", "via", "x-scheme", "x-url-scheme", "front-end-https", "max-forwards"})
_PROXY_PREFIXES = (
    "x-forward",
    "x-original-",
    "x-real-",
    "x-remote-",
    "x-client-",
    "x-cluster-",
    "x-proxy",
    "x-envoy-",
    "x-nginx-",
    "x-varnish",
    "x-amz",
    "x-arr-",
    "x-azure-",
    "x-appengine-",
    "x-ssl-",
    "proxy-",
    "wl-proxy-",
    "true-client-",
    "fastly-",
    "fly-",
    "cf-",
    "cdn-",
    "tailscale-",
)
"""Headers of proxies, load balancers, content delivery networks and tunnels, in lower case."""


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


def is_proxy_header(name: str) -> bool:
    """Return whether only proxies send the header."""
    name = name.lower()
    return name in _PROXY_HEADERS or name.startswith(_PROXY_PREFIXES)


@lru_cache(maxsize=64)
def host_name(host: str) -> str:
    """Return the host name in a `Host` header without port and brackets, or an empty string if there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _connection_options(request: web.Request) -> list[str]:
    values = ",".join(request.headers.getall(hdrs.CONNECTION, []))
    return [option.strip() for option in values.lower().split(",")]


def _is_loopback_client(request: web.Request) -> bool:
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return isinstance(peer, tuple) and is_loopback_address(str(peer[0]))
