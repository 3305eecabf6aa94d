"""The alerts of a running daemon: follow the bus, send what is due, and save what was sent.

Messages of the bus are handled at once and never block. Everything else runs in separate tasks.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial

from loguru import logger

from statemachine.alerts.alert import Alert, Announcement, Kind, alert_of, subject_of
from statemachine.alerts.dispatcher import ChannelsFor, Dispatcher, channels_for
from statemachine.alerts.evaluator import ENDED_NOTICES, AlertEvaluator
from statemachine.alerts.overview import alert_overview
from statemachine.alerts.sender import Delivery
from statemachine.alerts.store import AlertStore
from statemachine.core.log_entry import notice_message
from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.core.ports import Clock
from statemachine.core.vocabulary import Notice
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish.bus import Bus
from statemachine.publish.counters import Counters
from statemachine.publish.serialize import Json, StreamMessage, Topic
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings, resolve_servers
from statemachine.settings.maintenance import MaintenanceWindow

TICK_S = 0.25
"""Interval between evaluations; changes within it are evaluated together."""
RETRY_S = 5.0
"""Delay after an internal error."""
LEADER_TIMEOUT_S = 60.0
"""How long announcements are kept while another node is the alert leader. If it dies, this one sends them."""
LEADER_POLL_S = 1.0
SAVE_PAUSE_S = 2.0
"""Minimum interval between writes of the sent alerts."""

STARTING_NOTICES = frozenset(ENDED_NOTICES.values())
PARTIAL_ENDS = {"source_answers_others_fail", "source_removed_others_fail"}
"""Messages of a notice that does not end an alert, because it goes on for other sources."""


class AlertService:
    """Runs from `start` to `close`. Call all methods on the event loop."""

    def __init__(
        self,
        snapshot: Snapshot,
        store: AlertStore,
        counters: Counters,
        clock: Clock,
        is_alert_leader: Callable[[], bool] = lambda: True,
        channels: ChannelsFor | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._store = store
        self._counters = counters
        self._clock = clock
        self._is_alert_leader = is_alert_leader
        self._evaluator = AlertEvaluator(clock.new_id)
        self._incidents = self._evaluator.incidents
        self._dispatcher = Dispatcher(channels or partial(channels_for, now=clock.now), clock, self._on_delivery)
        self._due: deque[tuple[float, Announcement]] = deque()
        self._in_flight: Counter[str] = Counter()
        self._dropped: set[str] = set()
        self._announces_recovery = True
        self._windows: tuple[MaintenanceWindow, ...] = ()
        self._own: frozenset[str] = frozenset()
        self._servers: frozenset[str] = frozenset()
        self._is_restored = False
        self._saved_version = -1
        self._save_at = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self, settings: Settings, bus: Bus, discovered: Iterable[str] = ()) -> AsyncIterator[None]:
        """Run within the block."""
        await self.start(settings, bus, discovered)
        try:
            yield
        finally:
            await self.close()

    async def start(self, settings: Settings, bus: Bus, discovered: Iterable[str] = ()) -> None:
        """Restore what an earlier run has sent, and follow the bus."""
        self.apply(settings, discovered)
        bus.add_listener(self.on_message)
        try:
            await self._restore()
        except JournalUnavailableError:  # its notice was published before the listener was added
            self._start_notice(Notice.JOURNAL_UNAVAILABLE, notice_message(Notice.JOURNAL_UNAVAILABLE))
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Send what can be sent at once, and save what was sent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._dispatcher.close()
        await self._save()

    def apply(self, settings: Settings, discovered: Iterable[str] = ()) -> None:
        """Apply new settings. Alerts that were announced stay open unless their rule was removed.

        `discovered` names the servers that are not in the settings.
        """
        now = _loop_time()
        alerts = settings.alerts
        self._announces_recovery, self._windows = alerts.recovery, settings.maintenance
        self._dispatcher.apply(alerts, settings.language, settings.listen.public_url or "")
        self._evaluator.apply(alerts.rules if alerts.channels else (), alerts.gather_s, now, settings.maintenance)
        self._own = frozenset(config.name for config in resolve_servers(settings))
        self.set_discovered(discovered)

    def set_discovered(self, names: Iterable[str]) -> None:
        """Have these servers in addition to those of the settings; alerts of others end."""
        self._servers = self._own.union(names)
        self._evaluator.keep_only(self._servers, _loop_time())
        self._wake.set()

    def overview(self) -> Json:
        """Return the active alerts and what silences them."""
        return alert_overview(self._evaluator.active(), self._windows, self._clock.now())

    def on_message(self, message: StreamMessage) -> None:
        """Receive a message of the bus, after the snapshot was updated. Log errors instead of raising them."""
        try:
            if message.topic is Topic.TRANSITION:
                self._on_transition(message)
            elif message.topic is Topic.NOTICE:
                self._on_notice(message)
        except Exception:
            logger.exception("internal error while evaluating alerts")

    def _on_transition(self, message: StreamMessage) -> None:
        view = self._snapshot.get(message.server or "")
        if view is not None:
            self._evaluator.update(alert_of(view), _loop_time())
            self._wake.set()

    def _on_notice(self, message: StreamMessage) -> None:
        notice = Notice(message.reason or "")
        if notice in STARTING_NOTICES:
            self._start_notice(notice, message.content or NO_MESSAGE)
        elif notice in ENDED_NOTICES and not _is_partial(message.content or NO_MESSAGE):
            self._evaluator.end_notice(notice, _loop_time())
        self._wake.set()

    def _start_notice(self, notice: Notice, content: Message) -> None:
        alert = Alert(subject_of(notice), notice.value, self._clock.now(), content)
        self._evaluator.update(alert, _loop_time())

    async def _run(self) -> None:
        while True:
            try:
                self._wake.clear()
                self._send_due()
                is_saved = await self._save_if_due()
                await self._wait(None if is_saved else SAVE_PAUSE_S)
            except Exception:
                logger.exception("internal error while sending alerts; retrying in {:.0f} s", RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def _wait(self, at_most_s: float | None) -> None:
        due_at = _loop_time() + LEADER_POLL_S if self._due else self._evaluator.next_due()
        limits = [at for at in (due_at, at_most_s and _loop_time() + at_most_s) if at is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(limits, default=None)):
                await self._wake.wait()
        await asyncio.sleep(TICK_S)

    def _send_due(self) -> None:
        now = _loop_time()
        self._due.extend((now, announcement) for announcement in self._evaluator.due(now, self._clock.now()))
        while self._due and (self._is_alert_leader() or self._due[0][0] + LEADER_TIMEOUT_S <= now):
            self._send(self._due.popleft()[1])
        self._counters.set_firing_alerts(len(self._incidents))

    def _send(self, announcement: Announcement) -> None:
        """Send an announcement, or confirm it if another node has had enough time to send it."""
        is_wanted = self._is_alert_leader() and (announcement.kind is Kind.FIRING or self._announces_recovery)
        addresses = self._dispatcher.send(announcement) if is_wanted else 0
        if addresses:
            self._in_flight[announcement.id] = addresses
        else:
            self._incidents.confirm(announcement)

    def _on_delivery(self, channel: str, announcement: Announcement, outcome: Delivery) -> None:
        """Receive the outcome at one address. Confirm the announcement after the last one, unless one dropped it."""
        self._counters.alert_handled(channel, outcome.value)
        if outcome is Delivery.DROPPED:
            self._dropped.add(announcement.id)
        self._in_flight[announcement.id] -= 1
        if self._in_flight[announcement.id] == 0:
            del self._in_flight[announcement.id]
            if announcement.id not in self._dropped:
                self._incidents.confirm(announcement)
            self._dropped.discard(announcement.id)
            self._wake.set()

    async def _save_if_due(self) -> bool:
        """Return whether the sent alerts are saved. The pause limits writes while a large fleet recovers."""
        if self._saved_version == self._incidents.version:
            return True
        if _loop_time() < self._save_at:
            return False
        self._save_at = _loop_time() + SAVE_PAUSE_S
        return await self._save()

    async def _save(self) -> bool:
        try:
            await self._restore()
            version = self._incidents.version
            if version != self._saved_version:
                await self._store.save(self._incidents.sent_alerts())
                self._saved_version = version
        except JournalUnavailableError:
            return False
        return True

    async def _restore(self) -> None:
        if not self._is_restored:
            sent = await self._store.load()
            self._is_restored = True
            self._evaluator.restore(sent, _loop_time())
            self._evaluator.keep_only(self._servers, _loop_time())  # some may have been removed while no daemon ran


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def _is_partial(content: Message) -> bool:
    """Return whether a notice that ends another one says that it goes on for other sources."""
    detail = content.params.get("detail")
    return isinstance(detail, Message) and detail.code in PARTIAL_ENDS
