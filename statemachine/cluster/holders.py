"""Which nodes may still use a permit that the shared ledger lacks, as their leases and their servers' records show.

A node that runs adds its permits again soon after they have vanished. A frozen one does so once it continues, and may
submit before that, unless its lease has ended. So it is awaited until it has renewed its lease several times.
"""

from collections.abc import Callable, Mapping

from statemachine.cluster.followers import LeaseFollower
from statemachine.cluster.membership import RENEWALS
from statemachine.cluster.records import Lease, Record

Leases = Mapping[str, Lease]
"""Node → its lease at some time."""


class PermitHolders:
    """The other nodes and their servers. `record` returns the latest record of a server."""

    def __init__(self, node: str, record: Callable[[str], Record], leases: LeaseFollower) -> None:
        self._node = node
        self._record = record
        self._leases = leases

    def is_warming(self, server: str) -> bool:
        """Return whether a node that may be alive owns the server and has a warm-up in flight on it."""
        return self.owner(server) is not None and self.has_open_attempt(server)

    def has_open_attempt(self, server: str) -> bool:
        """Return whether the server may have a prompt, whether its owner is alive or not."""
        return self._record(server).saved_state.attempt is not None

    def owner(self, server: str) -> Lease | None:
        """Return the lease of the node that owns the server; None if its session has ended."""
        record = self._record(server)
        if record.node is None or record.session is None or not self._leases.lives(record.node, record.session):
            return None
        return self._living(record.node)

    def others(self) -> Leases | None:
        """Return the leases of all other nodes that may be alive; None until they are known."""
        if not self._leases.caught_up.is_set():
            return None
        leases = (seen.lease for seen in self._leases.all() if not seen.has_ended)
        return {lease.node: lease for lease in leases if lease.node != self._node}

    def still_awaited(self, leases: Leases) -> Leases:
        """Return the nodes that are awaited since they had these leases."""
        left = ((node, awaited(lease, self._living(node))) for node, lease in leases.items())
        return {node: lease for node, lease in left if lease is not None}

    def _living(self, node: str) -> Lease | None:
        seen = self._leases.latest(node)
        return None if seen is None or seen.has_ended else seen.lease


def awaited(since: Lease | None, now: Lease | None) -> Lease | None:
    """Return since which lease a node is awaited; None once it has renewed that one enough, or has ended.

    `now` is its lease, None if it has ended. Another session is awaited from its first lease that was seen.
    """
    if since is None or now is None or now.session != since.session:
        return now
    return since if now.beat < since.beat + RENEWALS else None
