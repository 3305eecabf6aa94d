"""The senders of all channels, updated when the settings change."""

import asyncio
from collections.abc import Callable
from itertools import zip_longest

from loguru import logger

from statemachine.alerts.alert import Announcement
from statemachine.alerts.channels import Channel, Webhook
from statemachine.alerts.queue import NotificationQueue, RateLimit
from statemachine.alerts.sender import Delivery, OnDelivery, Sender
from statemachine.core.ports import Clock
from statemachine.i18n.text import Language
from statemachine.settings.alerting import AlertChannel, Alerts

GRACE_S = 2.0
"""How long the daemon waits for the last alerts to be sent when it stops."""

ChannelsFor = Callable[[AlertChannel], list[Channel]]
"""Return a channel for each address of a channel in the settings."""


def channels_for(channel: AlertChannel, now: Callable[[], float]) -> list[Channel]:
    """Return a channel for each URL, so that none waits for another."""
    if channel.webhook is not None and channel.secret is not None:
        return [Webhook(channel.webhook, channel.secret, now)]
    from statemachine.alerts.apprise_channel import AppriseChannel  # noqa: PLC0415 - imports apprise

    return [AppriseChannel(url) for url in channel.apprise]


class Dispatcher:
    """Owns the task of each sender. `on_delivery` receives the outcome of each announcement at each address."""

    def __init__(self, channels: ChannelsFor, clock: Clock, on_delivery: OnDelivery) -> None:
        self._channels_for = channels
        self._clock = clock
        self._on_delivery = on_delivery
        self._configured: dict[str, AlertChannel] = {}
        self._senders: dict[str, list[Sender]] = {}
        self._tasks: dict[Sender, asyncio.Task[None]] = {}

    def apply(self, alerts: Alerts, language: Language, page: str = "") -> None:
        """Keep the senders of unchanged channels. What waits for a changed channel goes to its new addresses."""
        before, self._configured = self._configured, dict(alerts.channels)
        limit = RateLimit(alerts.max_messages, alerts.window_s)
        for name in before.keys() | self._configured.keys():
            if before.get(name) != self._configured.get(name):
                self._replace(name, self._configured.get(name), limit, language)
        for sender in self._tasks:
            sender.configure(limit, language, page)

    def send(self, announcement: Announcement) -> int:
        """Queue an announcement at all addresses of its channels; return their number."""
        senders = [sender for name in announcement.channels for sender in self._senders.get(name, ())]
        for sender in senders:
            sender.put(announcement)
        return len(senders)

    async def close(self) -> None:
        """Try once to send what waits, for at most `GRACE_S`; log what is dropped."""
        for sender in self._tasks:
            sender.finish()
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_S)
        for name in list(self._senders):
            for queue in self._stop(name):
                self._drop(name, queue)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _replace(self, name: str, configured: AlertChannel | None, limit: RateLimit, language: Language) -> None:
        queues = self._stop(name)
        channels = self._channels_for(configured) if configured is not None else []
        for channel, queue in zip_longest(channels, queues):
            if channel is None:
                self._drop(name, queue)
            else:
                self._start(name, channel, queue or NotificationQueue(limit), language)

    def _start(self, name: str, channel: Channel, queue: NotificationQueue, language: Language) -> None:
        sender = Sender(name, channel, queue, language, self._clock, self._on_delivery)
        self._senders.setdefault(name, []).append(sender)
        self._tasks[sender] = asyncio.get_running_loop().create_task(sender.run())

    def _stop(self, name: str) -> list[NotificationQueue]:
        """Cancel the senders of a channel and return their queues."""
        senders = self._senders.pop(name, [])
        for sender in senders:
            self._tasks.pop(sender).cancel()
        return [sender.reclaim() for sender in senders]

    def _drop(self, name: str, queue: NotificationQueue) -> None:
        for announcement in queue.take_all().announcements:
            logger.error("did not send an alert of rule {} on channel {} before closing it", announcement.rule, name)
            self._on_delivery(name, announcement, Delivery.DROPPED)
