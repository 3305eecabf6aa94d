"""Parts of a node with one fault each (see planted_faults.py)."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import replace

from typing_extensions import override

from statemachine.cluster.followers import LeaseFollower
from statemachine.cluster.journal import SharedJournal
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.permits import Ledger, SharedPermits, _SlotWaiter
from statemachine.cluster.records import Lease, Record
from statemachine.cluster.vanished_permits import VanishedPermits
from statemachine.core.server import Attempt


class IgnoresLease(LeasedOwnership):
    """Allow a submission after the lease has expired."""

    @override
    def may_submit(self, server: str) -> bool:
        return True


class AcquiresOwnedServers(LeasedOwnership):
    """Acquire servers whose owner is still running."""

    @override
    async def _is_free(self, record: Record) -> bool:
        return True

    @override
    def _free(self) -> list[str]:
        return list(self._servers)


class BelievesGarbage(LeaseFollower):
    """Treat a lease that cannot be read as ended."""

    @override
    def _keep(self, node: str, revision: int) -> None:
        super()._keep(node, revision)
        self._seen[node] = replace(self._seen[node], lease=Lease(node, "", over=True), is_readable=True)


class WritesLater(SharedJournal):
    """Write the attempt after its POST."""

    @override
    async def append_durably(self, attempt: Attempt) -> None:
        asyncio.get_running_loop().call_later(0.5, self.append, None, attempt)


class LocalPermits(SharedPermits):
    """Count only the node's own warm-ups."""

    @override
    def _admit(self, ledger: Ledger) -> list[_SlotWaiter]:
        mine = {server: host for server, host in ledger.items() if self._ownership.owns(server)}
        granted = super()._admit(mine)
        ledger.update(mine)
        return granted


class ForgetsVanished(VanishedPermits):
    """Treat permits that vanish as released."""

    @override
    def note(self, gone: Mapping[str, str], present: Collection[str], before: int, seen: int) -> None:
        """Count nothing."""
