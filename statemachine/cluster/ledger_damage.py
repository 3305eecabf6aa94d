"""A ledger of permits that cannot be read, or that was deleted, until it is written again.

A node that has seen every revision knows what the ledger was, and writes it again at once. The others may lack a
permit that was granted just before: they wait until each other node has had the time to write it, or has ended.
"""

import asyncio

from statemachine.cluster.followers import UnbrokenRun
from statemachine.cluster.holders import Leases, PermitHolders
from statemachine.cluster.store import Batch

SETTLE_S = 0.4
"""Time in which every node sees a ledger that was written again, and adds its permits to it."""


class LedgerDamage:
    """Whether the ledger is damaged, and what that forbids. `known` is the revision of the last readable ledger."""

    def __init__(self, holders: PermitHolders) -> None:
        self.is_present = False
        self.known = 0
        self._holders = holders
        self._followed = UnbrokenRun()
        self._revision = 0
        self._awaited: Leases | None = None
        self._settled_at = 0.0

    def extend(self, batch: Batch) -> None:
        """Note which revisions were followed."""
        self._followed.extend(batch)

    def begin(self, revision: int) -> None:
        """Note that there is no readable ledger at this revision."""
        if not self._followed.includes(self._revision + 1, revision):
            self._awaited = None  # what was written in between may have been the ledger
        self.is_present, self._revision = True, revision

    def end(self, revision: int) -> None:
        """Note that the ledger of this revision is known."""
        if self.is_present:
            self._settled_at = asyncio.get_running_loop().time() + SETTLE_S
        self.is_present, self.known, self._revision, self._awaited = False, revision, revision, None

    def may_be_repaired(self) -> bool:
        """Return whether the last readable ledger has every permit that a node may use."""
        if self._followed.includes(self.known + 1, self._revision):
            return True
        leases = self._holders.others() if self._awaited is None else self._awaited
        self._awaited = None if leases is None else self._holders.still_awaited(leases)
        return self._awaited is not None and not self._awaited

    def forbids_grants(self) -> bool:
        """Return whether permits may be missing, so that none is granted."""
        return self.is_present or asyncio.get_running_loop().time() < self._settled_at
