"""The lanes of all channels, kept in step with the settings."""

import asyncio
from collections.abc import Callable
from itertools import zip_longest

from loguru import logger

from statemachine.alerts.alert import Announcement
from statemachine.alerts.channel import Channel
from statemachine.alerts.queue import Limit, NotificationQueue
from statemachine.alerts.sender import Delivery, OnDelivery, Sender
from statemachine.alerts.webhook import Webhook
from statemachine.core.clock import Clock
from statemachine.i18n.text import Language
from statemachine.settings.alerting import AlertChannel, Alerts

GRACE_S = 2.0
"""How long the daemon's end waits for what is still to be sent."""

ChannelsFor = Callable[[AlertChannel], list[Channel]]
"""The addresses of a channel of the settings."""


def channels_for(channel: AlertChannel, now: Callable[[], float]) -> list[Channel]:
    """One for each URL, so that none waits for another."""
    if channel.webhook is not None and channel.secret is not None:
        return [Webhook(channel.webhook, channel.secret, now)]
    from statemachine.alerts.apprise_service import Service  # noqa: PLC0415 - imports apprise

    return [Service(url) for url in channel.apprise]


class Dispatcher:
    """Owns a task for each address. `on_outcome` hears once of each announcement on each lane."""

    def __init__(self, ways: ChannelsFor, world: Clock, on_outcome: OnDelivery) -> None:
        self._ways = ways
        self._world = world
        self._on_outcome = on_outcome
        self._channels: dict[str, AlertChannel] = {}
        self._lanes: dict[str, list[Sender]] = {}
        self._tasks: dict[Sender, asyncio.Task[None]] = {}

    def apply(self, alerts: Alerts, language: Language) -> None:
        """Keep lanes of unchanged channels; what waits on a changed one goes to its new addresses."""
        before, self._channels = self._channels, dict(alerts.channels)
        limit = Limit(alerts.max_messages, alerts.window_s)
        for name in before.keys() | self._channels.keys():
            if before.get(name) != self._channels.get(name):
                self._replace(name, self._channels.get(name), limit, language)
        for lane in self._tasks:
            lane.outbox.limit, lane.language = limit, language

    def send(self, announcement: Announcement) -> int:
        """Put it on every lane of its channels; on how many."""
        lanes = [lane for name in announcement.to for lane in self._lanes.get(name, ())]
        for lane in lanes:
            lane.offer(announcement)
        return len(lanes)

    async def close(self) -> None:
        """Try once to send what waits, for a short time; the rest is dropped, and said to be."""
        for lane in self._tasks:
            lane.finish()
        tasks = list(self._tasks.values())
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_S)
        for name in list(self._lanes):
            for outbox in self._stop(name):
                self._drop(name, outbox)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _replace(self, name: str, channel: AlertChannel | None, limit: Limit, language: Language) -> None:
        left = self._stop(name)
        ways = self._ways(channel) if channel is not None else []
        for way, outbox in zip_longest(ways, left):
            if way is None:
                self._drop(name, outbox)
            else:
                self._open(name, way, outbox or NotificationQueue(limit), language)

    def _open(self, name: str, way: Channel, outbox: NotificationQueue, language: Language) -> None:
        lane = Sender(name, way, outbox, language, self._world, self._on_outcome)
        self._lanes.setdefault(name, []).append(lane)
        self._tasks[lane] = asyncio.get_running_loop().create_task(lane.run())

    def _stop(self, name: str) -> list[NotificationQueue]:
        """Cancelled, a lane does nothing more before what it holds is taken back."""
        lanes = self._lanes.pop(name, [])
        for lane in lanes:
            self._tasks.pop(lane).cancel()
        return [lane.take_back() for lane in lanes]

    def _drop(self, name: str, outbox: NotificationQueue) -> None:
        for announcement in outbox.take_all().announcements:
            logger.error("an alert of rule {} was not sent on channel {}, which ends", announcement.rule, name)
            self._on_outcome(name, announcement, Delivery.DROPPED)
