"""Which server of a group, or of a host, a trigger may restart now: one key for each, changed by compare-and-set.

Without it, nodes that look at the same time would each restart a server of the group: a restart is seen by the other
nodes only after it was published. A claim needs no release. It counts until the server's restart has had time to be
published, and then as long as that restart is open.
"""

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256

import orjson
from typing_extensions import override

from statemachine.cluster.store import ConflictError, Dataset, SharedStore, StoredValue, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, parse_object, text
from statemachine.core.ports import RestartClaims

CLAIM_S = 60.0
"""Longer than it takes to publish a restart. Each node measures it from when it first sees the claim."""

MAX_SEEN = 10_000


class SharedClaims(RestartClaims):
    """`is_restarting` returns whether a server of the fleet has an open restart, as far as this node knows."""

    def __init__(self, store: SharedStore, is_restarting: Callable[[str], bool]) -> None:
        self._store = store
        self._is_restarting = is_restarting
        self._seen: dict[str, tuple[int, float]] = {}
        """The revision of each claim of another server, and the loop time at which it was first seen."""

    @override
    async def claim(self, server: str, scopes: Sequence[str]) -> bool:
        try:
            for scope in scopes:
                await self._claim(server, _key(scope))
        except (ConflictError, StoreUnavailableError):
            return False
        return True

    async def _claim(self, server: str, key: str) -> None:
        """Write the claim of a server. Raises ConflictError if another server has it, or StoreUnavailableError."""
        stored = await self._store.get(Dataset.SHARED, key)
        if stored is not None and self._is_held(stored, server):
            raise ConflictError(key)
        value = orjson.dumps({"server": server})
        await self._store.put(Dataset.SHARED, key, value, stored.revision if stored is not None else 0)
        self._seen.pop(key, None)

    def _is_held(self, stored: StoredValue, server: str) -> bool:
        """Return whether another server has the claim. One that is not understood counts for its time only."""
        try:
            holder = text(parse_object(stored.value)["server"])
        except DECODE_ERRORS:
            holder = ""
        return holder != server and (self._is_new(stored) or self._is_restarting(holder))

    def _is_new(self, stored: StoredValue) -> bool:
        now = asyncio.get_running_loop().time()
        revision, since = self._seen.get(stored.key, (0, now))
        if revision != stored.revision:
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            since = now
            self._seen[stored.key] = stored.revision, since
        return now - since < CLAIM_S


def _key(scope: str) -> str:
    """Return the key of a scope, whose name may have any characters."""
    return f"restart.{sha256(scope.encode()).hexdigest()[:32]}"
