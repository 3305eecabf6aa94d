"""The alerts of a running daemon: hears what the bus tells, says what is due, remembers what has been told.

Hearing is done at once and never waits; everything else is done by tasks of its own, which nobody waits for.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from loguru import logger

from statemachine.alerts.alert import Alert, Announcement, Kind, subject_of, trouble_of
from statemachine.alerts.dispatcher import ChannelsFor, Dispatcher, channels_for
from statemachine.alerts.evaluator import BEGINNINGS, AlertEvaluator
from statemachine.alerts.sender import Delivery
from statemachine.alerts.store import Memory
from statemachine.core.clock import Clock
from statemachine.core.log_entry import notice_message
from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.core.vocabulary import Notice
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish.bus import Bus
from statemachine.publish.counters import Counters
from statemachine.publish.message import StreamMessage, Topic
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings, resolve_servers

TICK_S = 0.25
"""Between two looks at the book: what happens meanwhile is seen together."""
AGAIN_S = 5.0
"""After a failure of our own."""
OTHERS_SPEAK_S = 60.0
"""How long what is due is kept where another daemon is to say it: should that one die, this one says it."""
OTHERS_LOOK_S = 1.0
SAVE_PAUSE_S = 2.0
"""Between two writes of what has been told."""

BEGUN = frozenset(BEGINNINGS.values())


class AlertService:
    """Runs from `start` to `close`. All methods are called on the loop."""

    def __init__(
        self,
        snapshot: Snapshot,
        memory: Memory,
        counters: Counters,
        clock: Clock,
        is_alert_leader: Callable[[], bool] = lambda: True,
        channels: ChannelsFor | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._memory = memory
        self._counters = counters
        self._clock = clock
        self._book = AlertEvaluator(clock.new_id)
        self._lanes = Dispatcher(channels or partial(channels_for, now=clock.now), clock, self._ended)
        self._speaks = is_alert_leader
        self._due: deque[tuple[float, Announcement]] = deque()
        self._under_way: Counter[str] = Counter()
        self._dropped: set[str] = set()
        self._recovery = True
        self._servers: frozenset[str] = frozenset()
        self._is_recalled = False
        self._saved = -1
        self._save_at = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self, settings: Settings, bus: Bus) -> None:
        """Take up what an earlier run has told, and listen."""
        self.apply(settings)
        bus.add_listener(self.hear)
        try:
            await self._recall()
        except JournalUnavailableError:  # its notice came before anybody listened
            self._begin_notice(Notice.JOURNAL_UNAVAILABLE, notice_message(Notice.JOURNAL_UNAVAILABLE))
        self._task = asyncio.get_running_loop().create_task(self._run())

    def apply(self, settings: Settings) -> None:
        """Go by these settings from now on. Nothing that has fired is lost, unless its rule is gone."""
        now = _loop_time()
        self._recovery = settings.alerts.recovery
        self._lanes.apply(settings.alerts, settings.language)
        self._book.apply(settings.alerts.rules if settings.alerts.channels else (), settings.alerts.gather_s, now)
        self._servers = frozenset(config.name for config in resolve_servers(settings))
        self._book.keep_only(self._servers, now)
        self._wake.set()

    def hear(self, message: StreamMessage) -> None:
        """What the bus tells, right after the snapshot has it. A fault of ours is nobody else's."""
        try:
            if message.topic is Topic.TRANSITION:
                self._hear_transition(message)
            elif message.topic is Topic.NOTICE:
                self._hear_notice(message)
        except Exception:
            logger.exception("alerts could not take in what happened")

    @asynccontextmanager
    async def running(self, settings: Settings, bus: Bus) -> AsyncIterator[None]:
        """Run within the block."""
        await self.start(settings, bus)
        try:
            yield
        finally:
            await self.close()

    async def close(self) -> None:
        """Send what can be sent at once, and remember what was told."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._lanes.close()
        await self._save()

    def _hear_transition(self, message: StreamMessage) -> None:
        view = self._snapshot.get(message.server or "")
        if view is not None:
            self._book.see(trouble_of(view), _loop_time())
            self._wake.set()

    def _hear_notice(self, message: StreamMessage) -> None:
        notice = Notice(message.reason or "")
        if notice in BEGUN:
            self._begin_notice(notice, message.content or NO_MESSAGE)
        elif notice in BEGINNINGS:
            self._book.see_end(notice, _loop_time())
        self._wake.set()

    def _begin_notice(self, notice: Notice, content: Message) -> None:
        self._book.see(Alert(subject_of(notice), notice.value, self._clock.now(), content), _loop_time())

    async def _run(self) -> None:
        while True:
            try:
                self._wake.clear()
                self._say_what_is_due()
                is_saved = await self._save_now_and_then()
                await self._rest(None if is_saved else SAVE_PAUSE_S)
            except Exception:
                logger.exception("alerts: a round failed; the next one follows")
                await asyncio.sleep(AGAIN_S)

    async def _rest(self, at_most_s: float | None) -> None:
        due_at = _loop_time() + OTHERS_LOOK_S if self._due else self._book.next_due()
        limits = [at for at in (due_at, at_most_s and _loop_time() + at_most_s) if at is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(limits, default=None)):
                await self._wake.wait()
        await asyncio.sleep(TICK_S)

    def _say_what_is_due(self) -> None:
        now = _loop_time()
        self._due.extend((now, announcement) for announcement in self._book.due(now, self._clock.now()))
        while self._due and (self._speaks() or self._due[0][0] + OTHERS_SPEAK_S <= now):
            self._say(self._due.popleft()[1])
        self._counters.set_firing_alerts(len(self._book.incidents))

    def _say(self, announcement: Announcement) -> None:
        """Or let it be where another daemon is to say it, and has had the time to."""
        wanted = self._speaks() and (announcement.kind is Kind.FIRING or self._recovery)
        lanes = self._lanes.send(announcement) if wanted else 0
        if lanes:
            self._under_way[announcement.id] = lanes
        else:
            self._book.incidents.settle(announcement)

    def _ended(self, channel: str, announcement: Announcement, outcome: Delivery) -> None:
        """On one lane. What has gone through on all of them is settled, even where one gave it up."""
        self._counters.alert_handled(channel, outcome.value)
        if outcome is Delivery.DROPPED:
            self._dropped.add(announcement.id)
        self._under_way[announcement.id] -= 1
        if self._under_way[announcement.id] == 0:
            del self._under_way[announcement.id]
            if announcement.id not in self._dropped:
                self._book.incidents.settle(announcement)
            self._dropped.discard(announcement.id)
            self._wake.set()

    async def _save_now_and_then(self) -> bool:
        """Whether what has been told is remembered as it stands. A large fleet's recovery changes it all the time."""
        if self._saved == self._book.incidents.version:
            return True
        if _loop_time() < self._save_at:
            return False
        self._save_at = _loop_time() + SAVE_PAUSE_S
        return await self._save()

    async def _save(self) -> bool:
        try:
            await self._recall()
            version = self._book.incidents.version
            if version != self._saved:
                await self._memory.save(self._book.incidents.told())
                self._saved = version
        except JournalUnavailableError:
            return False
        return True

    async def _recall(self) -> None:
        if not self._is_recalled:
            told = await self._memory.load()
            self._is_recalled = True
            self._book.restore(told, _loop_time())
            self._book.keep_only(self._servers, _loop_time())  # some may have left the settings while no daemon ran


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
