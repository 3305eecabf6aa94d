"""What a daemon works with: by itself here, shared with others in `clustered.py`. Who is handed these cannot tell."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from statemachine.core.backoff import Budget
from statemachine.core.ownership import Ownership
from statemachine.core.vocabulary import Notice
from statemachine.fleet.fleet import Fleet
from statemachine.fleet.permits import Permits, PermitsPort
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.sole_owner import SoleOwner
from statemachine.fleet.transition_log import TransitionLog
from statemachine.journal.journal import Journal, WriterThread
from statemachine.journal.port import JournalPort
from statemachine.journal.store import JOURNAL_FILE, open_store
from statemachine.publish.bus import Bus
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings
from statemachine.web.ports import Action, Operator

WallClock = Callable[[], float]
"""The wall clock: epoch seconds."""

OperatorOf = Callable[[Fleet], Awaitable[Operator]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`is_alert_leader` returns whether this daemon sends alerts; `operator_of` carries out operator actions."""

    journal: JournalPort
    snapshot: Snapshot
    bus: Bus
    ownership: Ownership
    permits: PermitsPort
    publisher: Publisher
    operator_of: OperatorOf
    is_alert_leader: Callable[[], bool]


class DirectOperator:
    """An operator's wishes, where every server is looked after here."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def act(self, server: str, action: Action) -> bool:
        """See Operator."""
        return self._fleet.act(server, action)


async def _direct(fleet: Fleet) -> Operator:
    return DirectOperator(fleet)


@asynccontextmanager
async def new_journal(settings: Settings, now: WallClock, lineage: int = 0) -> AsyncIterator[Journal]:
    """The journal's file with its thread, of that lineage; the file itself is opened by `Journal.open`."""
    thread = WriterThread()
    path = settings.data_dir / JOURNAL_FILE
    journal = Journal(lambda: open_store(path, now, lineage), thread)
    try:
        yield journal
    finally:
        await journal.close()
        thread.close()


def tell_health(publisher: Publisher, now: WallClock, healthy: bool) -> None:
    """Give notice that the journal cannot be written, or can again."""
    publisher.notice(Notice.JOURNAL_AVAILABLE if healthy else Notice.JOURNAL_UNAVAILABLE, now())


@asynccontextmanager
async def alone(settings: Settings, now: WallClock) -> AsyncIterator[Surroundings]:
    """Those of a daemon that has the fleet to itself: one file, no broker."""
    async with new_journal(settings, now) as journal:
        snapshot, bus = Snapshot(), Bus()
        publisher = Publisher(journal, snapshot, bus, TransitionLog(), settings.language)
        journal.on_health = partial(tell_health, publisher, now)
        await journal.open()
        yield Surroundings(
            journal=journal,
            snapshot=snapshot,
            bus=bus,
            ownership=SoleOwner(),
            permits=Permits(Budget(settings.limits.max_warming, settings.limits.max_warming_per_host)),
            publisher=publisher,
            operator_of=_direct,
            is_alert_leader=lambda: True,
        )
