"""Which servers triggers may restart now: one key with the claim of each group and host, changed by compare-and-set.

Without it, nodes that look at the same time would each restart a server of the group: a restart is seen by the other
nodes only after it was published. A claim needs no release. It counts until the server's restart has had time to be
published, and then as long as that restart is open; after that the next write removes it.
"""

import asyncio
from collections.abc import Callable, Sequence

import orjson
from typing_extensions import override

from statemachine.cluster.store import ConflictError, Dataset, SharedStore, StoredValue, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, parse_object, texts
from statemachine.core.ports import RestartClaims

KEY = "restarts"
CLAIM_S = 60.0
"""Longer than it takes to publish a restart. Each node measures it from when it first sees the claim."""

TRIES = 3
"""Writes of other nodes, for other groups, that a claim may meet."""

Claims = dict[str, tuple[str, str]]
"""Scope → the server that has it, and a number that no other claim has."""


class SharedClaims(RestartClaims):
    """`is_restarting` returns whether a server of the fleet has an open restart, as far as this node knows."""

    def __init__(self, store: SharedStore, is_restarting: Callable[[str], bool]) -> None:
        self._store = store
        self._is_restarting = is_restarting
        self._seen: dict[tuple[str, str], float] = {}
        """The scope and number of each claim of the last value, and the loop time at which it was first seen."""

    @override
    async def claim(self, server: str, scopes: Sequence[str]) -> bool:
        for _ in range(TRIES):
            try:
                return await self._claim(server, scopes)
            except ConflictError:
                continue
            except StoreUnavailableError:
                return False
        return False

    async def _claim(self, server: str, scopes: Sequence[str]) -> bool:
        """Write the claims of a server unless another one has any of them."""
        stored = await self._store.get(Dataset.SHARED, KEY)
        revision = stored.revision if stored is not None else 0
        held = self._held(stored)
        if held is None or any(held[scope][0] != server for scope in scopes if scope in held):
            return False
        claims = held | dict.fromkeys(scopes, (server, str(revision)))
        await self._store.put(Dataset.SHARED, KEY, orjson.dumps(claims), revision)
        return True

    def _held(self, stored: StoredValue | None) -> Claims | None:
        """Return the claims that count, None if the value is not understood and may have some."""
        if stored is None:
            return {}
        try:
            claims = {scope: _claim_in(value) for scope, value in parse_object(stored.value).items()}
        except DECODE_ERRORS:
            claims = {"": ("", str(stored.revision))}
        now = asyncio.get_running_loop().time()
        self._seen = {(scope, number): self._seen.get((scope, number), now) for scope, (_, number) in claims.items()}
        held = {
            scope: (server, number)
            for scope, (server, number) in claims.items()
            if now - self._seen[scope, number] < CLAIM_S or self._is_restarting(server)
        }
        return None if "" in held else held


def _claim_in(value: object) -> tuple[str, str]:
    server, number, *_ = texts(value)
    return server, number
