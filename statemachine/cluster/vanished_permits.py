"""Permits that the ledger lacks although it had them a moment ago.

A node that releases a permit announces in which write it did so. Without that the ledger may have been damaged, so that
the permit counts as long as a node may use it: until its node has had the time to add it again, or has ended and the
server's next owner has looked for its prompt.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from statemachine.cluster.holders import PermitHolders, awaited
from statemachine.cluster.records import Lease
from statemachine.cluster.store import SharedStore, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, Unreadable, count, encode_json, parse, text

SUBJECT = "permits"

SHORTEST_S = 0.4
"""Time in which a node adds a permit again, and in which its server's record arrives."""

LONGEST_S = 60.0
"""Longer than a takeover. A server that no node lists is never taken over."""

MOST_ANNOUNCED = 1_000
"""Announcements of writes that have not arrived yet."""


@dataclass(frozen=True, slots=True)
class _Vanished:
    """A permit that was in the ledger at revision `before` and not at `seen`, which came at a loop time.

    `owner` is the lease since which the server's owner is awaited, None if it has ended.
    """

    host: str
    before: int
    seen: int
    at: float
    owner: Lease | None


class VanishedPermits:
    """The permits of other nodes' servers that still count. `on_change` is called when there are fewer."""

    def __init__(self, store: SharedStore, holders: PermitHolders, on_change: Callable[[], None]) -> None:
        self._store = store
        self._holders = holders
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

    def note(self, gone: Mapping[str, str], present: Collection[str], before: int, seen: int) -> None:
        """Count permits that were in the ledger at one revision and are not at the next one that was seen."""
        at = asyncio.get_running_loop().time()
        self._vanished = {server: one for server, one in self._vanished.items() if server not in present}
        for server, host in gone.items():
            if not before < self._announced.get(server, 0) <= seen:
                self._vanished[server] = _Vanished(host, before, seen, at, self._holders.owner(server))
        self._announced = {server: revision for server, revision in self._announced.items() if revision > seen}

    def review(self) -> None:
        """Stop counting the permits that no node can use any more."""
        reviewed = {server: self._reviewed(server, one) for server, one in self._vanished.items()}
        self._vanished = {server: one for server, one in reviewed.items() if one is not None}
        if len(self._vanished) < len(reviewed):
            self._on_change()

    def _reviewed(self, server: str, one: _Vanished) -> _Vanished | None:
        age_s, owner = asyncio.get_running_loop().time() - one.at, self._holders.owner(server)
        if owner is None:
            counts = age_s < SHORTEST_S or self._holders.has_open_attempt(server)
        else:
            owner = awaited(one.owner, owner)
            counts = owner is not None
        return replace(one, owner=owner) if counts and age_s < LONGEST_S else None

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
                del self._vanished[server]
                self._on_change()
            elif len(self._announced) < MOST_ANNOUNCED:
                self._announced[server] = revision
