"""Parts of a node that are wrong in one way each (see planted_faults.py)."""

import asyncio

from typing_extensions import override

from statemachine.cluster.journal import SharedJournal
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.permits import Ledger, SharedPermits, _SlotWaiter
from statemachine.cluster.records import Record
from statemachine.core.attempt import Attempt


class AlwaysMay(LeasedOwnership):
    """Whoever has begun with a submission goes on with it, however long it stood still meanwhile."""

    @override
    def may_submit(self, server: str) -> bool:
        return True


class TakesAll(LeasedOwnership):
    """A server is taken whether its owner lives or not."""

    @override
    async def _is_free(self, record: Record) -> bool:
        return True


class WritesLater(SharedJournal):
    """The attempt is written after its POST."""

    @override
    async def append_durably(self, attempt: Attempt) -> None:
        asyncio.get_running_loop().call_later(0.5, self.append, None, attempt)


class Unshared(SharedPermits):
    """Each node counts its own warm-ups only."""

    @override
    def _admit(self, ledger: Ledger) -> list[_SlotWaiter]:
        mine = {server: host for server, host in ledger.items() if self._ownership.owns(server)}
        granted = super()._admit(mine)
        ledger.update(mine)
        return granted
