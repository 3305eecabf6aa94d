"""A stopped fleet acquires no servers and accepts no actions."""

from pathlib import Path

from statemachine.comfyui.transport import Transport
from statemachine.core.backoff import Budget
from statemachine.core.ports import Action, Clock
from statemachine.fleet.context import FleetPorts
from statemachine.fleet.diff import LoadedConfig
from statemachine.fleet.fleet import ManagedFleet
from statemachine.fleet.permits import Permits
from statemachine.journal.recorder import Recorder
from statemachine.publish.bus import Bus
from statemachine.publish.publisher import Publisher, TransitionLog
from statemachine.publish.snapshot import Snapshot
from statemachine.settings import parse_settings, resolve_servers
from statemachine.settings.servers import ServerConfig
from tests.journal.samples import FragileStore, quiet_journal


async def test_stopped_fleet_acquires_no_server(tmp_path: Path) -> None:
    def refuse_to_connect(_: ServerConfig) -> Transport:
        raise AssertionError("a stopped fleet connected to a server")

    settings = parse_settings({"servers": ["http://192.0.2.1:8188"]}, tmp_path, {})
    store = FragileStore(tmp_path / "j.sqlite3")
    journal = quiet_journal(lambda: store)
    await journal.open()
    ports = FleetPorts(
        clock=Clock(now=lambda: 0.0, uniform=lambda: 0.0, new_id=lambda: "id"),
        journal=journal,
        recorder=Recorder(journal, lambda: 0.0),
        permits=Permits(Budget(1, 1)),
        publisher=Publisher(Snapshot(), Bus(), TransitionLog()),
        transport_for=refuse_to_connect,
    )
    servers = resolve_servers(settings)
    fleet = ManagedFleet(LoadedConfig(settings, servers, {}), ports)
    await fleet.stop()
    await fleet.acquire([servers[0].name])
    assert not await fleet.act(servers[0].name, Action.CHECK)
    await journal.close()
