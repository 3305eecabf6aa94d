"""Which servers a daemon looks after: all of the fleet's, or its share where several daemons have one fleet."""

from collections.abc import Collection, Sequence
from typing import Protocol


class NotOwnedError(Exception):
    """Nobody looks after the server at the moment, or whoever does cannot be asked."""


class ServerHost(Protocol):
    """The fleet, as whoever shares servers out sees it. What is asked of it is done when the call returns."""

    @property
    def in_flight(self) -> Collection[str]:
        """Servers with which a prompt of ours may be."""
        ...

    async def acquire(self, servers: Collection[str]) -> None:
        """Begin to look after these."""
        ...

    async def release(self, servers: Collection[str]) -> None:
        """End all that is done for these; prompts in flight stay with them."""
        ...


class Ownership(Protocol):
    """Asked and told on the loop."""

    async def set_servers(self, servers: Sequence[str], host: ServerHost) -> None:
        """From now on the fleet has these servers: give our part of them into the host, now and whenever it changes.

        What is no more among them has been laid down already.
        """
        ...

    def close(self) -> None:
        """Give nothing more into the host: the fleet stops."""
        ...

    def owns(self, server: str) -> bool:
        """Whether we look after it."""
        ...

    def may_submit(self, server: str) -> bool:
        """Whether nobody else can look after it at this moment; asked right before each POST."""
        ...
