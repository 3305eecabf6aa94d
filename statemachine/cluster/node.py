"""One node of a cluster: its parts, put together over a shared store, and kept going."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger

from statemachine.cluster.bus import SharedBus
from statemachine.cluster.journal import CopyFile, JournalListeners, SharedJournal
from statemachine.cluster.membership import Identity, Membership
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.permits import SharedPermits
from statemachine.cluster.rendezvous import chosen
from statemachine.cluster.store import SharedStore
from statemachine.core.vocabulary import Notice
from statemachine.i18n.text import Language
from statemachine.journal.recorder import Recorder
from statemachine.publish.publisher import Publisher
from statemachine.publish.snapshot import Snapshot
from statemachine.publish.transition_log import TransitionLog

STANDING_EVERY_S = 0.25
AGAIN_S = 1.0
LAST_WORDS_S = 1.0
"""How long whoever leaves waits for what it has said to be kept."""
ALERTS = "alerts"
"""What the one node that tells of the fleet's troubles is chosen by."""


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
        self._stood: bool | None = None
        self.membership = Membership(store, identity, on_change=wake.set)
        self.ownership = LeasedOwnership(store, self.membership, wake)
        self.bus = SharedBus(store, snapshot, self.ownership, self.membership, publication.language)
        self.publisher = Publisher(snapshot, self.bus, publication.log, publication.language)
        listeners = JournalListeners(self.publisher.on_committed, self.bus.accepts, self._on_journal_health)
        self.journal = SharedJournal(store, self.membership, self.ownership, copy, listeners)
        self.recorder = Recorder(self.journal, publication.now, publication.language)
        self.permits = SharedPermits(store, self.ownership, *limits)
        self.ownership.add_listener(self.journal.on_record)
        self.ownership.add_listener(self.bus.on_record)

    @property
    def is_alert_leader(self) -> bool:
        """Whether this node sends the alerts. A node that is cut off sends its own."""
        node = self.membership.node
        return not self.membership.holds_lease or chosen(ALERTS, self.membership.members()) == node

    def _on_journal_health(self, healthy: bool) -> None:
        self.recorder.journal_health(healthy)

    async def run(self) -> None:
        """Until cancelled. A fault of our own is logged, and what it ended begins anew."""
        works = (self.membership.run, self.ownership.run, self.journal.run, self.permits.run, self.bus.run)
        async with asyncio.TaskGroup() as tasks:
            for work in (*works, self._watch_standing):
                tasks.create_task(_for_ever(work))

    async def leave(self) -> None:
        """Have what was said kept, and give every server up, so that others need not wait for our lease to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self.journal.emptied()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self.ownership.leave()
        await self.membership.leave()

    async def _watch_standing(self) -> None:
        """Say when we are cut off from the others, and when we are back."""
        while True:
            await asyncio.sleep(STANDING_EVERY_S)
            stands = self.membership.holds_lease
            if stands == self._stood or (self._stood is None and not stands):
                continue
            if not stands:
                self.bus.forget_others()
                self.recorder.notice(Notice.NODE_CUT_OFF, self.membership.node)
            elif self._stood is not None:
                self.bus.recall_others()
                self.recorder.notice(Notice.NODE_BACK, self.membership.node)
            self._stood = stands


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            logger.exception("a part of the cluster's node failed; it begins anew")
        await asyncio.sleep(AGAIN_S)
