"""Ownership of a daemon that has the fleet to itself."""

from collections.abc import Sequence

from typing_extensions import override

from statemachine.core.ownership import Ownership, ServerHost


class SoleOwner(Ownership):
    """Own every server."""

    def __init__(self) -> None:
        self._owned: frozenset[str] = frozenset()

    @override
    async def set_servers(self, servers: Sequence[str], host: ServerHost) -> None:
        before, self._owned = self._owned, frozenset(servers)
        await host.acquire([name for name in servers if name not in before])

    @override
    def close(self) -> None:
        """Do nothing: every server was acquired at once."""

    @override
    def owns(self, server: str) -> bool:
        return server in self._owned

    @override
    def may_submit(self, server: str) -> bool:
        return server in self._owned
