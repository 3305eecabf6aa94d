"""A fleet that has stopped begins with nothing, whoever still shares servers out."""

import asyncio
from pathlib import Path

from statemachine.comfyui.transport import Transport
from statemachine.core.backoff import Budget
from statemachine.core.clock import Clock
from statemachine.core.outage import OutageDetector
from statemachine.fleet.context import FleetContext
from statemachine.fleet.fleet import Fleet
from statemachine.fleet.permits import Permits
from statemachine.fleet.publisher import Publisher
from statemachine.fleet.reachability import OutageGuard
from statemachine.fleet.transition_log import TransitionLog
from statemachine.journal.journal import Journal
from statemachine.publish.bus import Bus
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import parse_settings, resolve_servers
from statemachine.settings.servers import ServerConfig
from tests.journal.samples import FragileStore, at_once


async def test_nothing_is_taken_up_after_the_end(tmp_path: Path) -> None:
    def dial(_: ServerConfig) -> Transport:
        raise AssertionError("a runner is made")

    settings = parse_settings({"servers": ["http://192.0.2.1:8188"]}, tmp_path, {})
    store = FragileStore(tmp_path / "j.sqlite3")
    journal = Journal(lambda: store, at_once)
    await journal.open()
    shared = FleetContext(
        settings=settings,
        clock=Clock(now=lambda: 0.0, uniform=lambda: 0.0, new_id=lambda: "id"),
        journal=journal,
        permits=Permits(Budget(1, 1)),
        check_slots=asyncio.Semaphore(1),
        outage=OutageGuard(OutageDetector(), lambda _: None),
    )
    servers = resolve_servers(settings)
    fleet = Fleet(servers, {}, shared, Publisher(journal, Snapshot(), Bus(), TransitionLog()), dial)
    await fleet.stop()
    await fleet.acquire([servers[0].name])
    assert not fleet.act(servers[0].name, "check")
    await journal.close()
