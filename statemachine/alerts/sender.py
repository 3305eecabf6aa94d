"""What brings messages to one address, one after another: the limit, the retries, and a failure that is told loudly.

Each lane has a task of its own, so whoever hangs keeps nobody else waiting.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from loguru import logger

from statemachine.alerts.alert import Announcement
from statemachine.alerts.channel import Channel, SendError
from statemachine.alerts.notification import Notification, letter_of
from statemachine.alerts.queue import NotificationBatch, NotificationQueue
from statemachine.core.backoff import backoff
from statemachine.core.clock import Clock
from statemachine.i18n.text import Language

ATTEMPTS = 12
"""Tries of one message; with the pauses between them about 40 minutes."""
PAUSE_S = 5.0
LONGEST_PAUSE_S = 600.0


class Delivery(StrEnum):
    """What became of an announcement on one lane."""

    SENT = "sent"
    DIGESTED = "digested"
    """Sent, summed up with others because of the limit."""
    FAILED = "failed"
    """Given up after all tries, or refused for good."""
    DROPPED = "dropped"
    """The daemon's end or a change of settings came first."""


OnDelivery = Callable[[str, Announcement, Delivery], None]
"""Hears of the channel's name, the announcement and what became of it."""


class Sender:
    """Runs from `run` to `finish`, or until its task is cancelled."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        outbox: NotificationQueue,
        language: Language,
        world: Clock,
        on_outcome: OnDelivery,
    ) -> None:
        self.outbox = outbox
        self.language = language
        self._name = name
        self._channel = channel
        self._world = world
        self._on_outcome = on_outcome
        self._in_hand: NotificationBatch | None = None
        self._wake = asyncio.Event()
        self._finishing = asyncio.Event()

    def offer(self, announcement: Announcement) -> None:
        """Let it be sent; never waits."""
        summed_up = self.outbox.offer(announcement)
        if summed_up is not None:
            self._on_outcome(self._name, summed_up, Delivery.DIGESTED)
        self._wake.set()

    def finish(self) -> None:
        """Let `run` try once to send what waits, and end."""
        self._finishing.set()
        self._wake.set()

    def take_back(self) -> NotificationQueue:
        """All that has not been sent, the message in hand included, once the task has been cancelled."""
        if self._in_hand is not None:
            self.outbox.put_back(self._in_hand)
            self._in_hand = None
        return self.outbox

    async def run(self) -> None:
        """Send until `finish`."""
        while not self._finishing.is_set():
            batch = self.outbox.take(asyncio.get_running_loop().time())
            if batch is None:
                await self._until_ready()
            else:
                await self._deliver(batch)
        if len(self.outbox):
            await self._deliver(self.outbox.take_all())

    async def _until_ready(self) -> None:
        self._wake.clear()
        ready_at = self.outbox.ready_at(asyncio.get_running_loop().time())
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ready_at):
                await self._wake.wait()

    async def _deliver(self, batch: NotificationBatch) -> None:
        self._in_hand = batch
        outcome = await self._try_all(letter_of(batch, self.language, self._world.now()))
        if outcome is Delivery.SENT and len(batch.announcements) > 1:
            outcome = Delivery.DIGESTED
        self._in_hand = None
        for announcement in batch.announcements:
            self._on_outcome(self._name, announcement, outcome)

    async def _try_all(self, letter: Notification) -> Delivery:
        for tries in range(ATTEMPTS):
            error = await self._try(letter)
            if error is None:
                return Delivery.SENT
            if error.is_final or tries == ATTEMPTS - 1:
                logger.error("alert lost on channel {} ({}): {}", self._name, error, letter.title)
                return Delivery.FAILED
            if self._finishing.is_set():
                break
            pause = backoff(tries, PAUSE_S, LONGEST_PAUSE_S, self._world.uniform)
            logger.warning("an alert could not be sent on channel {} ({}); again in {:.0f} s", self._name, error, pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._finishing.wait(), pause)
        logger.error("an alert was not sent on channel {} before the end: {}", self._name, letter.title)
        return Delivery.DROPPED

    async def _try(self, letter: Notification) -> SendError | None:
        try:
            await self._channel.send(letter)
        except SendError as error:
            return error
        except Exception as error:  # its text may hold the address
            return SendError(type(error).__name__)
        return None
