"""Which nodes may still use a permit without a warm-up, as their leases and their servers' records show.

A node that runs adds a permit again soon after it has vanished from the shared ledger, and records its warm-up soon
after the permit was granted. A frozen one does so once it continues, and may submit before that, unless its lease has
ended. So it is awaited until it has renewed its lease several times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from statemachine.cluster.followers import LeaseFollower
from statemachine.cluster.membership import RENEWALS
from statemachine.cluster.records import Lease, Record

LOOK_S = 1.0
"""The time between two looks at a permit without a warm-up."""

IDLE_S = 60.0
"""Longer than a node that runs takes to record a warm-up that has a permit, or to take over a server."""

Leases = Mapping[str, Lease]
"""Node → its lease at some time."""


@dataclass(frozen=True, slots=True)
class PermitWait:
    """The wait for the nodes that may use a permit without a warm-up: `awaited`, since which leases.

    `session` is that of the server's owner, None if it has ended. `looked_s` is the time since no node is awaited,
    counted in looks, so that the time in which this node was stopped does not count.
    """

    session: str | None
    awaited: Leases
    looked_s: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether each of the nodes has run or ended, and had the time to record a warm-up since then."""
        return self.looked_s > IDLE_S


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

    def begin_wait(self, server: str) -> PermitWait:
        """Await the server's owner, or, if it has ended with a prompt in flight, each node that may be the next."""
        owner = self.owner(server)
        if owner is not None:
            return PermitWait(owner.session, {owner.node: owner})
        return PermitWait(None, (self.others() or {}) if self.has_open_attempt(server) else {})

    def look(self, server: str, wait: PermitWait) -> PermitWait:
        """Return what is left of the wait, `LOOK_S` after the last look. It begins again with each owner."""
        begun = self.begin_wait(server)
        if begun.session != wait.session:
            return begun
        left = self.still_awaited(wait.awaited)
        return replace(wait, awaited=left, looked_s=0.0 if left else wait.looked_s + LOOK_S)

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
