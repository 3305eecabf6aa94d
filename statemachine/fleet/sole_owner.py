"""Ownership where one daemon has the fleet to itself."""

from collections.abc import Sequence

from statemachine.core.ownership import ServerHost


class SoleOwner:
    """The only daemon over its fleet."""

    def __init__(self) -> None:
        self._owned: frozenset[str] = frozenset()

    async def set_servers(self, servers: Sequence[str], host: ServerHost) -> None:
        """See Ownership: all of them."""
        before, self._owned = self._owned, frozenset(servers)
        await host.acquire([name for name in servers if name not in before])

    def close(self) -> None:
        """See Ownership: all was given at once."""

    def owns(self, server: str) -> bool:
        """See Ownership."""
        return server in self._owned

    def may_submit(self, server: str) -> bool:
        """See Ownership."""
        return server in self._owned
