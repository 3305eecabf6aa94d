"""One node of a cluster: its parts, connected over a shared store, and run together."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger

from statemachine.cluster.bus import SharedBus
from statemachine.cluster.holders import PermitHolders
from statemachine.cluster.journal import CopyFile, JournalListeners, SharedJournal
from statemachine.cluster.membership import Identity, Membership, node_for
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.permits import SharedPermits
from statemachine.cluster.restart_claims import SharedClaims
from statemachine.cluster.rollouts import SharedRollouts
from statemachine.cluster.store import SharedStore
from statemachine.core.vocabulary import Notice
from statemachine.i18n.text import Language
from statemachine.journal.recorder import Recorder
from statemachine.publish.publisher import Publisher, TransitionLog
from statemachine.publish.snapshot import Snapshot

LEASE_POLL_S = 0.25
RESTART_S = 1.0
LEAVE_STEP_S = 1.0
"""The longest time that a leaving node takes to send its last entries, and then to free its servers."""
ALERTS = "alerts"
"""The key that assigns the sending of alerts to a node."""


@dataclass(frozen=True, slots=True)
class NodePublication:
    """Where a node publishes. `now` returns the wall clock in epoch seconds."""

    snapshot: Snapshot
    log: TransitionLog
    now: Callable[[], float]
    language: Language = "en"


class ClusterNode:
    """The parts of one node. `copy` is its own journal file. Call `leave` once the fleet has stopped."""

    def __init__(
        self,
        store: SharedStore,
        identity: Identity,
        copy: CopyFile,
        publication: NodePublication,
        limits: tuple[int, int],
    ) -> None:
        snapshot, wake = publication.snapshot, asyncio.Event()
        self._held_lease: bool | None = None
        self.membership = Membership(store, identity, on_change=wake.set)
        self.ownership = LeasedOwnership(store, self.membership, wake)
        self.bus = SharedBus(store, snapshot, self.ownership, self.membership, publication.language)
        self.publisher = Publisher(snapshot, self.bus, publication.log, publication.language)
        listeners = JournalListeners(self.publisher.on_committed, self.bus.accepts, self._on_journal_health)
        self.journal = SharedJournal(store, self.membership, self.ownership, copy, listeners)
        self.recorder = Recorder(self.journal, publication.now, publication.language)
        holders = PermitHolders(identity.node, self.ownership.record, self.membership.leases)
        self.permits = SharedPermits(store, self.ownership, holders, *limits)
        self.rollouts = SharedRollouts(store, self.membership)
        self.claims = SharedClaims(store, snapshot.has_open_restart)
        self.ownership.add_listener(self.journal.on_record)
        self.ownership.add_listener(self.bus.on_record)

    @property
    def is_alert_leader(self) -> bool:
        """Whether this node sends the alerts. A node that is cut off sends its own."""
        node = self.membership.node
        return not self.membership.holds_lease or node_for(ALERTS, self.membership.members()) == node

    def _on_journal_health(self, healthy: bool) -> None:
        self.recorder.journal_health(healthy)

    async def run(self) -> None:
        """Run all parts until cancelled. A part that fails is logged and started again."""
        parts = (self.membership.run, self.ownership.run, self.journal.run, self.permits.run, self.bus.run)
        async with asyncio.TaskGroup() as tasks:
            for part in (*parts, self._watch_lease):
                tasks.create_task(_run_repeatedly(part))

    async def leave(self) -> None:
        """Send the last entries and free all servers, so that other nodes need not wait for our lease to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_STEP_S):
                await self.journal.wait_sent()
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_STEP_S):
                await self.ownership.leave()
        await self.membership.leave()

    async def _watch_lease(self) -> None:
        """Publish the notices `node_cut_off` and `node_back` when our lease ends and is held again."""
        while True:
            await asyncio.sleep(LEASE_POLL_S)
            holds_lease = self.membership.holds_lease
            if holds_lease == self._held_lease or (self._held_lease is None and not holds_lease):
                continue
            if not holds_lease:
                self.bus.hide_others()
                self.recorder.notice(Notice.NODE_CUT_OFF, self.membership.node)
            elif self._held_lease is not None:
                self.bus.restore_others()
                self.recorder.notice(Notice.NODE_BACK, self.membership.node)
            self._held_lease = holds_lease


async def _run_repeatedly(part: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await part()
        except Exception:
            logger.exception("a part of the cluster node failed and is restarted")
        await asyncio.sleep(RESTART_S)
