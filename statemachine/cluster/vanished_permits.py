"""Permits that the ledger lacks although it had them a moment ago.

A node that releases a permit announces in which write it did so. Without that the ledger may have been damaged, so that
the permit counts as long as a node may use it: until its node has had the time to add it again, or has ended and the
server's next owner has looked for its prompt.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from statemachine.cluster.holders import PermitHolders, PermitWait
from statemachine.cluster.store import SharedStore, StoreUnavailableError
from statemachine.cluster.values import DECODE_ERRORS, Unreadable, count, encode_json, parse, text

SUBJECT = "permits"

RECORD_S = 2.0
"""Time in which the record of a server arrives: two looks, as the first may come right after this node was stopped."""

MOST_ANNOUNCED = 1_000
"""Announcements of writes that have not arrived yet."""


@dataclass(frozen=True, slots=True)
class _Vanished:
    """A permit that was in the ledger at revision `before` and not at `seen`."""

    host: str
    before: int
    seen: int
    wait: PermitWait


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
        self._vanished = {server: one for server, one in self._vanished.items() if server not in present}
        for server, host in gone.items():
            if not before < self._announced.get(server, 0) <= seen:
                self._vanished[server] = _Vanished(host, before, seen, self._holders.begin_wait(server))
        self._announced = {server: revision for server, revision in self._announced.items() if revision > seen}

    def review(self) -> None:
        """Look at the permits, and stop counting those that no node can use any more."""
        reviewed = {
            server: replace(one, wait=self._holders.look(server, one.wait)) for server, one in self._vanished.items()
        }
        self._vanished = {server: one for server, one in reviewed.items() if self._counts(server, one.wait)}
        if len(self._vanished) < len(reviewed):
            self._on_change()

    def _counts(self, server: str, wait: PermitWait) -> bool:
        if wait.awaited or wait.session is not None:
            return bool(wait.awaited)
        return not wait.is_over if self._holders.has_open_attempt(server) else wait.looked_s <= RECORD_S

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
