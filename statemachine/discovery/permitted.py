"""Which servers a client may register."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from statemachine.settings.listen import is_loopback_name


def may_register(host: str, peer: str | None, networks: Sequence[str]) -> bool:
    """Return whether a client with the address `peer`, None if a proxy hides it, may register the server at `host`.

    `networks` are those of the source. Without any, a client may register only servers at its own address.
    """
    host = host.strip("[]").lower().rstrip(".")
    if networks:
        return any(_contains(one, host) for one in networks)
    if peer is None:
        return False
    own = _address(peer)
    return own is not None and (own == _address(host) or (own.is_loopback and is_loopback_name(host)))


def _contains(network: str, host: str) -> bool:
    """Return whether a network has the address, or the host name is this one or below a domain such as .example.com."""
    address, parsed = _address(host), parse_network(network)
    if parsed is None:
        name = network.lower().rstrip(".")
        return host == name or (name.startswith(".") and host.endswith(name))
    return address is not None and address.version == parsed.version and address in parsed


@lru_cache(maxsize=1_000)
def parse_network(text: str) -> IPv4Network | IPv6Network | None:
    """Return the network, None if the text is a host name."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=1_000)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
