"""Channels that keep what they get, or fail or hang as a test wants, and an alerter over them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from statemachine.alerts.channel import SendError
from statemachine.alerts.incidents import SentAlert
from statemachine.alerts.notification import Notification
from statemachine.alerts.service import AlertService
from statemachine.core.clock import Clock
from statemachine.core.log_entry import notice_entry
from statemachine.core.vocabulary import Notice, State
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish.bus import Bus
from statemachine.publish.counters import Counters
from statemachine.publish.message import StreamMessage, Topic
from statemachine.publish.serialize import entry_message
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings
from statemachine.settings.alerting import AlertChannel
from tests.alerts.samples import EPOCH, new_id, server
from tests.settings.samples import parse


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def world() -> Clock:
    """The wall clock runs with the loop's; there is no jitter."""
    return Clock(now=lambda: EPOCH + loop_time(), uniform=lambda: 1.0, new_id=new_id)


class Recorder:
    """Takes everything, unless `failures` are left; each is raised for one try."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.notifications: list[tuple[float, Notification]] = []
        self.tries: list[float] = []
        self.hangs = False

    async def send(self, notification: Notification) -> None:
        self.tries.append(loop_time())
        if self.hangs:
            await asyncio.Event().wait()
        if self.failures:
            raise self.failures.pop(0)
        self.notifications.append((loop_time(), notification))

    @property
    def titles(self) -> list[str]:
        return [notification.title for _, notification in self.notifications]


class MemoryStore:
    """A memory that may be away."""

    def __init__(self, told: Sequence[SentAlert] = ()) -> None:
        self.told = list(told)
        self.is_away = False
        self.saves = 0

    async def load(self) -> list[SentAlert]:
        self._check()
        return list(self.told)

    async def save(self, told: Sequence[SentAlert]) -> None:
        self._check()
        self.saves += 1
        self.told = list(told)

    def _check(self) -> None:
        if self.is_away:
            raise JournalUnavailableError("away")


def alert_settings(
    *rules: dict[str, Any], channels: Sequence[str] = ("ops",), hosts: str = "[1-20]", **keys: Any
) -> Settings:
    """Settings of a rack, whose channels are webhooks that nobody calls: each stands for the recorder of its name.

    `ops=wrong` is a channel `ops` at the address of the recorder `wrong`.
    """
    addresses = {one.partition("=")[0]: one.rpartition("=")[2] for one in channels}
    hooks = {
        name: {"webhook": "http://127.0.0.1:9", "secret": f"secret of {address} 0123"}
        for name, address in addresses.items()
    }
    alerts = {"rules": [{"name": "down", "for_s": 0, "to": ["ops"], **one} for one in rules], "channels": hooks, **keys}
    return parse(servers=[f"http://192.0.2.{hosts}:8188"], alerts=alerts)


class AlertHarness:
    """An alerter between a bus and recorders, one for each channel by name."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.snapshot, self.bus, self.counters = Snapshot(), Bus(), Counters()
        self.store = store or MemoryStore()
        self.recorders: dict[str, Recorder] = {}
        self.is_alert_leader = True
        self.alerter = AlertService(
            self.snapshot, self.store, self.counters, world(), lambda: self.is_alert_leader, self._ways
        )

    def _ways(self, channel: AlertChannel) -> list[Any]:
        assert channel.secret is not None
        name = channel.secret.get_secret_value().split()[2]
        return [self.recorders.setdefault(name, Recorder())]

    @asynccontextmanager
    async def running(self, settings: Settings) -> AsyncIterator["AlertHarness"]:
        await self.alerter.start(settings, self.bus)
        try:
            yield self
        finally:
            await self.alerter.close()

    def see(self, state: State, *hosts: int) -> None:
        """Servers change their state, as the publisher tells it."""
        for host in hosts:
            view = server(host, state=state, since=EPOCH + loop_time())
            self.snapshot.put(view)
            self.bus.publish(
                StreamMessage(Topic.TRANSITION, lambda: b"{}", 1, view.name, view.group, state, view.reason.value)
            )

    def notice(self, notice: Notice) -> None:
        """As the publisher tells it."""
        entry = notice_entry(notice, EPOCH + loop_time())
        self.bus.publish(entry_message(entry))

    def counts(self, channel: str) -> dict[str, float]:
        """What the counters has counted on a channel, by outcome."""
        return {
            sample.labels["outcome"]: sample.value
            for collector in self.counters.collectors
            for family in collector.collect()
            for sample in family.samples
            if sample.name == "comfywarm_alerts_total" and sample.labels["channel"] == channel
        }


def refusal() -> SendError:
    return SendError("HTTP 400", is_final=True)


def server_error() -> SendError:
    return SendError("HTTP 500")
