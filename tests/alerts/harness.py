"""An alert service over channels that record notifications, fail or hang."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from typing_extensions import override

from statemachine.alerts.channels import SendError
from statemachine.alerts.incidents import SentAlert
from statemachine.alerts.notification import Notification
from statemachine.alerts.service import AlertService
from statemachine.alerts.store import AlertStore
from statemachine.core.log_entry import notice_entry, notice_message
from statemachine.core.messages import NO_MESSAGE, Message
from statemachine.core.ports import Clock
from statemachine.core.vocabulary import Notice, State
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish.bus import Bus
from statemachine.publish.counters import Counters
from statemachine.publish.serialize import StreamMessage, Topic, entry_message
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import Settings
from statemachine.settings.alerting import AlertChannel
from tests.alerts.samples import EPOCH, new_id, server
from tests.settings.samples import parse


def loop_time() -> float:
    return asyncio.get_running_loop().time()


def clock() -> Clock:
    """Return a clock that runs with the event loop's, without jitter."""
    return Clock(now=lambda: EPOCH + loop_time(), uniform=lambda: 1.0, new_id=new_id)


class Recorder:
    """Records notifications. Each of `failures` is raised once first."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.notifications: list[tuple[float, Notification]] = []
        self.attempts: list[float] = []
        self.hangs = False

    async def send(self, notification: Notification) -> None:
        self.attempts.append(loop_time())
        if self.hangs:
            await asyncio.Event().wait()
        if self.failures:
            raise self.failures.pop(0)
        self.notifications.append((loop_time(), notification))

    @property
    def titles(self) -> list[str]:
        return [notification.title for _, notification in self.notifications]


class MemoryStore(AlertStore):
    """A store in memory that may be unavailable."""

    def __init__(self, sent: Sequence[SentAlert] = ()) -> None:
        self.sent = list(sent)
        self.is_unavailable = False
        self.saves = 0

    @override
    async def load(self) -> list[SentAlert]:
        self._check()
        return list(self.sent)

    @override
    async def save(self, sent: Sequence[SentAlert]) -> None:
        self._check()
        self.saves += 1
        self.sent = list(sent)

    def _check(self) -> None:
        if self.is_unavailable:
            raise JournalUnavailableError("unavailable")


def alert_settings(
    *rules: dict[str, Any], channels: Sequence[str] = ("ops",), hosts: str = "[1-20]", **keys: Any
) -> Settings:
    """Return settings of a fleet whose channels stand for the recorders of the same names.

    `ops=wrong` is the channel `ops` with the address of the recorder `wrong`.
    """
    addresses = {one.partition("=")[0]: one.rpartition("=")[2] for one in channels}
    hooks = {
        name: {"webhook": "http://127.0.0.1:9", "secret": f"secret of {address} 0123"}
        for name, address in addresses.items()
    }
    alerts = {"rules": [{"name": "down", "for_s": 0, "to": ["ops"], **one} for one in rules], "channels": hooks, **keys}
    return parse(servers=[f"http://192.0.2.{hosts}:8188"], alerts=alerts)


class AlertHarness:
    """An alert service between a bus and one recorder for each channel."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.snapshot, self.bus, self.counters = Snapshot(), Bus(), Counters()
        self.store = store or MemoryStore()
        self.recorders: dict[str, Recorder] = {}
        self.is_alert_leader = True
        self.service = AlertService(
            self.snapshot, self.store, self.counters, clock(), lambda: self.is_alert_leader, self._channels_for
        )

    def _channels_for(self, channel: AlertChannel) -> list[Any]:
        assert channel.secret is not None
        name = channel.secret.get_secret_value().split()[2]
        return [self.recorders.setdefault(name, Recorder())]

    @asynccontextmanager
    async def running(self, settings: Settings) -> AsyncIterator["AlertHarness"]:
        await self.service.start(settings, self.bus)
        try:
            yield self
        finally:
            await self.service.close()

    def set_state(self, state: State, *hosts: int) -> None:
        """Publish a transition of these servers."""
        for host in hosts:
            view = server(host, state=state, since=EPOCH + loop_time())
            self.snapshot.put(view)
            self.bus.publish(StreamMessage(Topic.TRANSITION, dict, 1, view.name, view.group, state, view.reason.value))

    def notice(self, notice: Notice, detail: Message = NO_MESSAGE) -> None:
        """Publish a notice."""
        entry = notice_entry(notice, EPOCH + loop_time(), notice_message(notice, detail or ""))
        self.bus.publish(entry_message(entry))

    def counts(self, channel: str) -> dict[str, float]:
        """Return the counters of a channel, by outcome."""
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
