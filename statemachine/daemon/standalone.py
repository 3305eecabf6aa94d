"""The backend of a daemon that has the fleet to itself: one journal file, no broker."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from statemachine.core.backoff import Budget
from statemachine.core.ports import Clock, Operator, Ownership, RestartClaims, SoleClaims, SoleOwner
from statemachine.core.server import ServerView
from statemachine.fleet.permits import Permits, PermitsPort
from statemachine.journal.journal import Journal, WriterThread
from statemachine.journal.opening import open_store
from statemachine.journal.port import JournalPort
from statemachine.journal.recorder import Recorder
from statemachine.journal.store import JOURNAL_FILE
from statemachine.journal.watched import OpenFile
from statemachine.publish.bus import Bus
from statemachine.publish.publisher import Publisher, TransitionLog
from statemachine.publish.snapshot import Snapshot
from statemachine.rollouts.store import JournalRollouts, RolloutStore
from statemachine.settings import Settings


@dataclass(frozen=True, slots=True)
class Backend:
    """What a daemon stores, publishes and shares. The rest of the daemon cannot tell one backend from another.

    `operator_over` returns the operator for the whole fleet, given the one for this daemon's servers.
    `is_alert_leader` returns whether this daemon sends the alerts.
    """

    journal: JournalPort
    recorder: Recorder
    snapshot: Snapshot
    bus: Bus
    publisher: Publisher
    ownership: Ownership
    permits: PermitsPort
    operator_over: Callable[[Operator], Awaitable[Operator]]
    is_alert_leader: Callable[[], bool]
    rollouts: RolloutStore
    claims: RestartClaims = field(default_factory=SoleClaims)


@asynccontextmanager
async def standalone(settings: Settings, clock: Clock, lock: OpenFile) -> AsyncIterator[Backend]:
    """Open the journal, or keep trying in the background if that fails; close it at the end."""
    snapshot, bus = Snapshot(), Bus()
    publisher = Publisher(snapshot, bus, TransitionLog(), settings.language)
    with writer_thread() as thread:
        path = settings.data_dir / JOURNAL_FILE
        journal = Journal[ServerView](
            lambda: open_store(path, clock.now, 0, lock),
            thread,
            publisher.on_committed,
            lambda healthy: recorder.journal_health(healthy),  # noqa: PLW0108 - the recorder needs the journal first
        )
        recorder = Recorder(journal, clock.now, settings.language)
        try:
            await journal.open()
            yield Backend(
                journal=journal,
                recorder=recorder,
                snapshot=snapshot,
                bus=bus,
                publisher=publisher,
                ownership=SoleOwner(),
                permits=Permits(Budget(settings.limits.max_warming, settings.limits.max_warming_per_host)),
                operator_over=_unchanged,
                is_alert_leader=lambda: True,
                rollouts=JournalRollouts(journal),
            )
        finally:
            await journal.close()


@contextmanager
def writer_thread() -> Iterator[WriterThread]:
    """Yield the thread that the journal's calls run in, and end it afterwards."""
    thread = WriterThread()
    try:
        yield thread
    finally:
        thread.close()


async def _unchanged(operator: Operator) -> Operator:
    return operator
