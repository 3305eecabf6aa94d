"""Permits that the ledger lacks although it had them a moment ago.

A node that releases a permit announces in which write it did so. Without that the ledger may have been damaged, so that
the permit counts for `SETTLE_S`, in which its node adds it again.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from statemachine.cluster.store import SharedStore, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, Unreadable, count, encode_json, parse, text

SUBJECT = "permits"

SETTLE_S = 0.4
"""Time in which a node adds a permit again that the ledger has lost."""

MOST_ANNOUNCED = 1_000
"""Announcements of writes that have not arrived yet."""


@dataclass(frozen=True, slots=True)
class _Vanished:
    """A permit that was in the ledger at revision `before` and not at `seen`. It counts until a loop time."""

    host: str
    before: int
    seen: int
    until: float


class VanishedPermits:
    """The permits of other nodes' servers that still count. `on_change` is called when there are fewer."""

    def __init__(self, store: SharedStore, on_change: Callable[[], None]) -> None:
        self._store = store
        self._on_change = on_change
        self._vanished: dict[str, _Vanished] = {}
        self._announced: dict[str, int] = {}
        """Server → the revision of the write that released its permit, for writes that have not arrived."""
        self._is_subscribed = False
        self._unreadable = Unreadable("the released permits")

    async def subscribe(self) -> None:
        """Receive announcements from now on; while cut off, the store subscribes as soon as it can."""
        if not self._is_subscribed:
            self._is_subscribed = True
            with suppress(StoreUnavailableError):
                await self._store.subscribe(SUBJECT, self._receive)

    def announce(self, servers: Collection[str], revision: int) -> None:
        """Report that our write at this revision has released these servers' permits."""
        if servers:
            self._released(servers, revision)
            self._store.publish(SUBJECT, encode_json([revision, list(servers)]))

    def note(self, permits: Mapping[str, str], before: int, seen: int) -> None:
        """Count permits that were in the ledger at one revision and are not at the next one that was seen."""
        until = asyncio.get_running_loop().time() + SETTLE_S
        for server, host in permits.items():
            if not before < self._announced.get(server, 0) <= seen:
                self._vanished[server] = _Vanished(host, before, seen, until)
                asyncio.get_running_loop().call_later(SETTLE_S, self._forget, server, until)
        self._announced = {server: revision for server, revision in self._announced.items() if revision > seen}

    def hosts(self) -> dict[str, str]:
        """Return the permits that still count, as server and host."""
        return {server: one.host for server, one in self._vanished.items()}

    def _receive(self, value: bytes) -> None:
        try:
            revision, servers, *_ = parse(value)
            self._released([text(server) for server in servers], count(revision))
        except DECODE_ERRORS as error:
            self._unreadable.report("of a node", error)

    def _released(self, servers: Collection[str], revision: int) -> None:
        for server in servers:
            one = self._vanished.get(server)
            if one is not None and one.before < revision <= one.seen:
                self._forget(server, one.until)
            elif len(self._announced) < MOST_ANNOUNCED:
                self._announced[server] = revision

    def _forget(self, server: str, until: float) -> None:
        """Stop to count a permit, unless it has vanished once more since then."""
        one = self._vanished.get(server)
        if one is not None and one.until <= until:
            del self._vanished[server]
            self._on_change()
