"""Send notifications to one address, one after another, with the rate limit, retries and a log line for each failure.

Each sender has its own task, so an address that hangs does not delay the others.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum

from loguru import logger

from statemachine.alerts.alert import Announcement
from statemachine.alerts.channels import Channel, SendError
from statemachine.alerts.notification import Notification, notification_for
from statemachine.alerts.queue import NotificationBatch, NotificationQueue, RateLimit
from statemachine.core.backoff import backoff
from statemachine.core.ports import Clock
from statemachine.i18n.text import Language

MAX_ATTEMPTS = 12
"""Attempts for one notification. With the pauses between them they take about 40 minutes."""
MIN_PAUSE_S = 5.0
MAX_PAUSE_S = 600.0


class Delivery(StrEnum):
    """The outcome of an announcement at one address."""

    SENT = "sent"
    DIGESTED = "digested"
    """Sent together with others because of the rate limit."""
    FAILED = "failed"
    """Given up after all attempts, or refused."""
    DROPPED = "dropped"
    """The daemon stopped, or the settings changed, before it was sent."""


OnDelivery = Callable[[str, Announcement, Delivery], None]
"""Receive the name of the channel, the announcement and its outcome."""


class Sender:
    """Sends from `run` until `finish`, or until its task is cancelled."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        queue: NotificationQueue,
        language: Language,
        clock: Clock,
        on_delivery: OnDelivery,
    ) -> None:
        self._name = name
        self._channel = channel
        self._queue = queue
        self._language = language
        self._clock = clock
        self._on_delivery = on_delivery
        self._page = ""
        self._sending: NotificationBatch | None = None
        self._wake = asyncio.Event()
        self._finishing = asyncio.Event()

    def configure(self, limit: RateLimit, language: Language, page: str) -> None:
        """Change the rate limit, the language and the page's address."""
        self._queue.limit = limit
        self._language, self._page = language, page

    def put(self, announcement: Announcement) -> None:
        """Queue an announcement."""
        omitted = self._queue.put(announcement)
        if omitted is not None:
            self._on_delivery(self._name, omitted, Delivery.DIGESTED)
        self._wake.set()

    def finish(self) -> None:
        """Make `run` try once to send what waits, and return."""
        self._finishing.set()
        self._wake.set()

    def reclaim(self) -> NotificationQueue:
        """Return the queue with everything unsent, after the task was cancelled."""
        if self._sending is not None:
            self._queue.put_back(self._sending)
            self._sending = None
        return self._queue

    async def run(self) -> None:
        """Send until `finish`."""
        while not self._finishing.is_set():
            batch = self._queue.take(asyncio.get_running_loop().time())
            if batch is None:
                await self._wait_until_ready()
            else:
                await self._deliver(batch)
        if len(self._queue):
            await self._deliver(self._queue.take_all())

    async def _wait_until_ready(self) -> None:
        self._wake.clear()
        ready_at = self._queue.ready_at(asyncio.get_running_loop().time())
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ready_at):
                await self._wake.wait()

    async def _deliver(self, batch: NotificationBatch) -> None:
        self._sending = batch
        outcome = await self._send_with_retries(notification_for(batch, self._language, self._clock.now(), self._page))
        if outcome is Delivery.SENT and len(batch.announcements) > 1:
            outcome = Delivery.DIGESTED
        self._sending = None
        for announcement in batch.announcements:
            self._on_delivery(self._name, announcement, outcome)

    async def _send_with_retries(self, notification: Notification) -> Delivery:
        for attempt in range(MAX_ATTEMPTS):
            error = await self._send_once(notification)
            if error is None:
                return Delivery.SENT
            if error.is_final or attempt == MAX_ATTEMPTS - 1:
                logger.error("failed to send an alert on channel {} ({}): {}", self._name, error, notification.title)
                return Delivery.FAILED
            if self._finishing.is_set():
                break
            pause = backoff(attempt, MIN_PAUSE_S, MAX_PAUSE_S, self._clock.uniform)
            logger.warning("cannot send an alert on channel {} ({}); retrying in {:.0f} s", self._name, error, pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._finishing.wait(), pause)
        logger.error(
            "an alert was not sent on channel {} before the daemon stopped: {}", self._name, notification.title
        )
        return Delivery.DROPPED

    async def _send_once(self, notification: Notification) -> SendError | None:
        try:
            await self._channel.send(notification)
        except SendError as error:
            return error
        except Exception as error:  # its text may contain the address
            return SendError(type(error).__name__)
        return None
