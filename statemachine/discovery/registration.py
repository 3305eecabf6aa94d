"""Servers that register themselves, again at every heartbeat, and which ones a client may register."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from statemachine.discovery.source import Report
from statemachine.discovery.target import MAX_TARGETS, Listing, Target
from statemachine.settings.listen import is_loopback_name

MISSED = 3
"""Heartbeats after which a server that has sent none has vanished."""

SETTLE_S = 0.2
"""Changes within this time are reported together."""


class Registrations:
    """The servers that have registered lately. It is the source of the kind `register`."""

    def __init__(self, heartbeat_s: float) -> None:
        self.heartbeat_s = heartbeat_s
        self._seen: dict[str, tuple[Target, float]] = {}
        self._changed = asyncio.Event()

    def restore(self, targets: Iterable[Target]) -> None:
        """Count the servers of an earlier run as registered now: their next heartbeats come soon."""
        now = _loop_time()
        self._seen = {target.key: (target, now) for target in targets}

    def register(self, target: Target) -> bool:
        """Note a heartbeat; return whether there is room for the server."""
        known = self._seen.pop(target.key, None)
        if known is None and len(self._seen) >= MAX_TARGETS:
            return False
        self._seen[target.key] = target, _loop_time()  # moved to the end: the oldest heartbeat is the first
        if known is None or known[0] != target:
            self._changed.set()
        return True

    async def run(self, report: Report) -> None:
        """Report the registered servers whenever some came, changed or vanished, until cancelled."""
        while True:
            self._changed.clear()
            self._forget_silent()
            report(Listing(tuple(target for target, _ in self._seen.values())))
            await self._wait_for_change()
            await asyncio.sleep(SETTLE_S)

    async def _wait_for_change(self) -> None:
        while not (self._changed.is_set() or self._is_silent()):
            oldest = next(iter(self._seen.values()), None)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(None if oldest is None else oldest[1] + self._patience_s):
                    await self._changed.wait()

    def _is_silent(self) -> bool:
        oldest = next(iter(self._seen.values()), None)
        return oldest is not None and oldest[1] + self._patience_s <= _loop_time()

    def _forget_silent(self) -> None:
        while self._is_silent():
            del self._seen[next(iter(self._seen))]

    @property
    def _patience_s(self) -> float:
        return MISSED * self.heartbeat_s


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


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
