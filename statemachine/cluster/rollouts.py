"""The rolling restart of a cluster: one key, changed by compare-and-set, and carried out by one node."""

import zlib

from typing_extensions import override

from statemachine.cluster.membership import Membership, node_for
from statemachine.cluster.store import ConflictError, Dataset, SharedStore, StoreUnavailableError
from statemachine.core.rollout import Rollout
from statemachine.rollouts.store import (
    RolloutConflictError,
    RolloutStore,
    RolloutsUnavailableError,
    StoredRollout,
    encoded,
    understood,
)

KEY = "rollout"
"""The key of the run; it also assigns the run to a node."""

LONGEST = 16 * 2**20
"""Bytes of a run. That of 10,000 servers has 1 MB; it is compressed, because NATS accepts no longer values."""


class SharedRollouts(RolloutStore):
    """Keeps the run where all nodes read it. If two carry it out while leases change, only one of them can write."""

    def __init__(self, store: SharedStore, membership: Membership) -> None:
        self._store = store
        self._membership = membership

    @property
    @override
    def may_run(self) -> bool:
        membership = self._membership
        return membership.holds_lease and node_for(KEY, membership.members()) == membership.node

    @override
    async def load(self) -> StoredRollout:
        try:
            stored = await self._store.get(Dataset.SHARED, KEY)
        except StoreUnavailableError as error:
            raise RolloutsUnavailableError(str(error)) from error
        return StoredRollout(None, 0) if stored is None else StoredRollout(_run_in(stored.value), stored.revision)

    @override
    async def save(self, run: Rollout, revision: int) -> None:
        try:
            await self._store.put(Dataset.SHARED, KEY, zlib.compress(encoded(run)), revision)
        except ConflictError as error:
            raise RolloutConflictError from error
        except StoreUnavailableError as error:
            raise RolloutsUnavailableError(str(error)) from error


def _run_in(value: bytes) -> Rollout | None:
    """Return the run of a stored value, None if another version or a person has written something else."""
    try:
        return understood(zlib.decompressobj().decompress(value, LONGEST))
    except zlib.error:
        return understood(value)
