"""Ownership where one daemon has the fleet to itself."""

from collections.abc import Sequence

from statemachine.core.ownership import Hands


class SoleOwner:
    """The only daemon over its fleet."""

    def __init__(self) -> None:
        self._owned: frozenset[str] = frozenset()

    async def share(self, servers: Sequence[str], hands: Hands) -> None:
        """See Ownership: all of them."""
        before, self._owned = self._owned, frozenset(servers)
        await hands.take_up([name for name in servers if name not in before])

    def rest(self) -> None:
        """See Ownership: all was given at once."""

    def owns(self, server: str) -> bool:
        """See Ownership."""
        return server in self._owned

    def may_submit(self, server: str) -> bool:
        """See Ownership."""
        return server in self._owned
