"""The servers by the owner that their records name."""

from collections.abc import Collection

from statemachine.cluster.records import Record

Owner = tuple[str, str]
"""The node and the session that a record names."""


class OwnerIndex:
    """The servers by the owner that their record names; those without one, and those without a record, by None."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner | None] = {}
        self._servers: dict[Owner | None, dict[str, None]] = {}

    def set(self, server: str, record: Record) -> None:
        """Note the latest record of a server."""
        owner = (record.node, record.session) if record.node is not None and record.session is not None else None
        if server not in self._owners or self._owners[server] != owner:
            self.remove(server)
            self._owners[server] = owner
            self._servers.setdefault(owner, {})[server] = None

    def remove(self, server: str) -> None:
        """Forget a server."""
        if server in self._owners:
            owner = self._owners.pop(server)
            del self._servers[owner][server]
            if not self._servers[owner]:
                del self._servers[owner]

    def of(self, owner: Owner | None) -> Collection[str]:
        """Return the servers of an owner."""
        return self._servers.get(owner, {}).keys()

    def owners(self) -> list[Owner]:
        """Return all owners that records name."""
        return [owner for owner in self._servers if owner is not None]
