"""Which servers a daemon looks after: the whole fleet, or its part if several daemons share the fleet."""

from collections.abc import Collection, Sequence
from typing import Protocol


class NotOwnedError(Exception):
    """No daemon looks after the server at the moment, or the one that does cannot be reached."""


class ServerHost(Protocol):
    """The fleet as its Ownership sees it. Each call returns when it has been carried out."""

    @property
    def in_flight(self) -> Collection[str]:
        """The servers that may have a prompt of ours."""
        ...

    async def acquire(self, servers: Collection[str]) -> None:
        """Start to look after these servers."""
        ...

    async def release(self, servers: Collection[str]) -> None:
        """Stop all work for these servers. Prompts in flight stay with them."""
        ...


class Ownership(Protocol):
    """Decides which servers this daemon looks after. All methods are called on the event loop."""

    async def set_servers(self, servers: Sequence[str], host: ServerHost) -> None:
        """Set the servers of the fleet; let `host` acquire and release our part now and whenever it changes.

        The host has already released servers that are no longer in the fleet.
        """
        ...

    def close(self) -> None:
        """Let the host acquire nothing more, because the fleet stops."""
        ...

    def owns(self, server: str) -> bool:
        """Return whether this daemon looks after the server."""
        ...

    def may_submit(self, server: str) -> bool:
        """Return whether no other daemon can own the server at this moment; called right before each POST."""
        ...
