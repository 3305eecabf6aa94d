"""One node of a cluster: its parts, put together over a shared store, and kept going."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from loguru import logger

from statemachine.cluster.bus import SharedBus
from statemachine.cluster.journal import SharedJournal
from statemachine.cluster.membership import Membership
from statemachine.cluster.outbox import Outbox
from statemachine.cluster.owned_records import OwnRecords
from statemachine.cluster.ownership import LeasedOwnership
from statemachine.cluster.permits import SharedPermits
from statemachine.cluster.rendezvous import chosen
from statemachine.cluster.store import SharedStore
from statemachine.core.log_entry import LogEntry
from statemachine.core.messages import Language
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Notice
from statemachine.journal.journal import Journal
from statemachine.publish.snapshot import Snapshot

STANDING_EVERY_S = 0.25
AGAIN_S = 1.0
LAST_WORDS_S = 1.0
"""How long whoever leaves waits for what it has said to be kept."""
ALERTS = "alerts"
"""What the one node that tells of the fleet's troubles is chosen by."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`node` is the name in the settings. `steady` gives seconds that no step of a clock moves, also while stopped."""

    node: str
    lease_s: float
    steady: Callable[[], float]
    new_id: Callable[[], str]


class ClusterNode:
    """`copy` is this node's own journal file. Runs in `run`; `leave` once the fleet has stopped."""

    def __init__(
        self,
        store: SharedStore,
        identity: Identity,
        copy: Journal,
        snapshot: Snapshot,
        limits: tuple[int, int],
        language: Language = "en",
    ) -> None:
        self._stood: bool | None = None
        self.membership = Membership(store, identity.node, identity.lease_s, identity.steady, identity.new_id)
        own = OwnRecords(store)
        self.ownership = LeasedOwnership(store, self.membership, own)
        self._outbox = Outbox(store, lambda: self.membership.session, identity.new_id)
        self.journal = SharedJournal(store, copy, own, self._outbox)
        self.permits = SharedPermits(store, self.ownership, *limits)
        self.bus = SharedBus(store, snapshot, self.ownership, lambda: self.membership.session, language)
        self.bus.on_foreign_record = self.journal.heard_of
        self._notice: Callable[[Notice], None] = lambda _: None

    @property
    def is_alert_leader(self) -> bool:
        """Whether this node sends the alerts. A node that is cut off sends its own."""
        node = self.membership.node
        return not self.membership.holds or chosen(ALERTS, self.membership.partners()) == node

    def publish_through(
        self, told: Callable[[ServerView | None, LogEntry], None], notice: Callable[[Notice], None]
    ) -> None:
        """`told` publishes what other nodes tell, `notice` gives a notice of ours."""
        self._notice = notice

        def heard(session: str, view: ServerView | None, entry: LogEntry) -> None:
            told(view if view is not None and self.bus.accepts(session, view) else None, entry)

        self.journal.on_heard = heard
        self.journal.on_health = lambda healthy: notice(
            Notice.JOURNAL_AVAILABLE if healthy else Notice.JOURNAL_UNAVAILABLE
        )

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
                await self._outbox.emptied()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self.ownership.leave()
        await self.membership.leave()

    async def _watch_standing(self) -> None:
        """Say when we are cut off from the others, and when we are back."""
        while True:
            await asyncio.sleep(STANDING_EVERY_S)
            stands = self.membership.holds
            if stands == self._stood or (self._stood is None and not stands):
                continue
            if not stands:
                self.bus.forget_others()
                self._notice(Notice.NODE_CUT_OFF)
            elif self._stood is not None:
                self.bus.recall_others()
                self._notice(Notice.NODE_BACK)
            self._stood = stands


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            logger.exception("a part of the cluster's node failed; it begins anew")
        await asyncio.sleep(AGAIN_S)
