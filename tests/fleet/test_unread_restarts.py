"""A restart whose hook has begun is not begun again while the journal cannot be read at the start of the daemon."""

import asyncio
from collections.abc import Collection
from pathlib import Path

import pytest
from typing_extensions import override

from campaigns.simulation.scenario import workflows
from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.transport import Reply, Socket, Transport
from statemachine.core.backoff import Budget
from statemachine.core.messages import verbatim
from statemachine.core.ports import Action, Clock, NotOwnedError
from statemachine.core.restart import Restart, RestartCause, RestartStage, RestartTerms
from statemachine.core.server import ServerView
from statemachine.fleet.context import FleetPorts
from statemachine.fleet.diff import LoadedConfig
from statemachine.fleet.fleet import ManagedFleet
from statemachine.fleet.permits import Permits
from statemachine.fleet.recovery import LATE_PAUSE_S
from statemachine.journal.journal import Journal
from statemachine.journal.port import JournalUnavailableError, SavedState
from statemachine.journal.recorder import Recorder
from statemachine.journal.store import JournalStore
from statemachine.publish.bus import Bus
from statemachine.publish.publisher import Publisher, TransitionLog
from statemachine.publish.snapshot import Snapshot
from statemachine.repair.port import HookRunner
from statemachine.settings import parse_settings, resolve_servers
from statemachine.settings.servers import ServerConfig
from tests.journal.samples import at_once

pytestmark = pytest.mark.looptime

TERMS = RestartTerms(RestartCause.ROLLOUT, "run-1")


class UnreadJournal(Journal[ServerView]):
    """Cannot be read while `is_unread`."""

    is_unread = False

    @override
    async def saved_states(self, servers: Collection[str]) -> dict[str, SavedState]:
        if self.is_unread:
            raise JournalUnavailableError(verbatim("unread"))
        return await super().saved_states(servers)


class SilentTransport(Transport):
    @override
    async def request(self, method: str, path: str, body: bytes | None = None, accept: str | None = None) -> Reply:
        raise NotAnsweringError(verbatim("silent"))

    @override
    async def connect(self, client_id: str) -> Socket:
        raise NotAnsweringError(verbatim("silent"))


class CountedHooks(HookRunner):
    def __init__(self) -> None:
        self.ids: list[str] = []

    @override
    async def run(self, server: ServerConfig, restart: Restart) -> None:
        self.ids.append(restart.id)


def now() -> float:
    return 1_000.0 + asyncio.get_running_loop().time()


def fleet_over(journal: Journal[ServerView], hooks: HookRunner, folder: Path) -> ManagedFleet:
    restart = {"command": ["restart"], "drain_timeout_s": 5}
    settings = parse_settings({"servers": ["http://192.0.2.1:8188"], "restart": restart}, folder, {})
    ports = FleetPorts(
        clock=Clock(now=now, uniform=lambda: 0.5, new_id=lambda: "other"),
        journal=journal,
        recorder=Recorder(journal, now),
        permits=Permits(Budget(1, 1)),
        publisher=Publisher(Snapshot(), Bus(), TransitionLog()),
        transport_for=lambda _: SilentTransport(),
        hooks=hooks,
    )
    return ManagedFleet(LoadedConfig(settings, resolve_servers(settings), workflows()), ports)


async def test_same_restart_is_refused_until_the_journal_was_read(tmp_path: Path) -> None:
    path, hooks = tmp_path / "journal.sqlite3", CountedHooks()
    journal = UnreadJournal(lambda: JournalStore(path), at_once, lambda *_: None, lambda _: None)
    await journal.open()
    fleet = fleet_over(journal, hooks, tmp_path)
    (config,) = fleet.config.servers
    begun = Restart(TERMS.id, config.name, TERMS.cause, now()).hook_begun(None, None, now())
    await journal.record_restart(begun)
    journal.is_unread = True
    await fleet.start()
    with pytest.raises(NotOwnedError, match="cannot be read"):
        await fleet.act(config.name, Action.RESTART, None, TERMS)
    journal.is_unread = False
    await asyncio.sleep(2 * LATE_PAUSE_S)
    assert await fleet.act(config.name, Action.RESTART, None, TERMS)
    await asyncio.sleep(60)
    saved = (await journal.saved_states([config.name]))[config.name].restart
    assert hooks.ids == []
    assert saved is not None
    assert (saved.id, saved.stage) == (TERMS.id, RestartStage.FAILED)
    await fleet.stop()
    await journal.close()
