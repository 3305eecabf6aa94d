"""A whole daemon over simulated servers and every kind of channel, across a restart."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from statemachine.daemon.app import Daemon, running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES
from statemachine.simulator.fleet import SimFleet, running_fleet
from tests.alerts.listeners import PATIENCE_S, Listener, Mailbox, listening, receiving_mail
from tests.support.daemon import DaemonClient
from tests.support.paths import WORKFLOWS

TIMING = {"check_interval_s": 0.2, "retry_s": 0.1, "http_timeout_s": 2, "link_backoff_max_s": 0.2, "link_stable_s": 0}


class AlertSetup:
    """Four servers of one host, and the receivers of their alerts."""

    def __init__(self, folder: Path, fleet: SimFleet, web: Listener, stuck: Listener, mail: Mailbox) -> None:
        self.folder, self.fleet, self.web, self.stuck, self.mail = folder, fleet, web, stuck, mail

    def settings(self) -> dict[str, Any]:
        addresses = [
            f"json://127.0.0.1:{self.web.port}/service",
            f"mailto://127.0.0.1:{self.mail.port}?from=comfywarm@example.com&to=ops@example.com&mode=insecure",
        ]
        stuck = {"webhook": self.stuck.url, "secret": "a secret of sixteen"}
        return {
            "listen": {"port": 0},
            "data_dir": "data",
            "workflows_dir": str(WORKFLOWS),
            "servers": self.fleet.urls,
            "timing": TIMING,
            "alerts": {
                "gather_s": 0.5,
                "rules": [{"name": "down", "states": ["unreachable"], "for_s": 0.3, "to": ["ops", "hook", "stuck"]}],
                "channels": {
                    "ops": {"apprise": addresses},
                    "hook": {"webhook": f"{self.web.url}/hook", "secret": "a secret of sixteen"},
                    "stuck": stuck,
                },
            },
        }

    def run(self, *, stuck: bool = True) -> Any:
        data = self.settings()
        if not stuck:
            del data["alerts"]["channels"]["stuck"]
            data["alerts"]["rules"][0]["to"].remove("stuck")
        return running_daemon(parse_settings(data, self.folder, {}))


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[AlertSetup]:
    profiles = [PROFILES["loaded"]] * 4
    async with (
        running_fleet(profiles, scale=0.01) as fleet,
        listening() as web,
        listening(hangs=True) as stuck,
        receiving_mail() as mail,
    ):
        yield AlertSetup(tmp_path, fleet, web, stuck, mail)


async def loaded(daemon: Daemon) -> None:
    async with aiohttp.ClientSession() as session:
        await DaemonClient(daemon.address, session).wait_for_states({"loaded": 4})


def by_path(web: Listener) -> dict[str, list[dict[str, Any]]]:
    received: dict[str, list[dict[str, Any]]] = {"/service": [], "/hook": []}
    for one in web.requests:
        received[one.path].append(dict(one.data))
    return received


async def test_daemon_sends_dead_host_once_to_each_channel(setup: AlertSetup) -> None:
    names = {member.name for member in setup.fleet.members}
    async with setup.run() as daemon:
        await loaded(daemon)
        for server in setup.fleet.servers:
            await server.go_down()
        await setup.web.until(2)
        mail = await asyncio.wait_for(setup.mail.mails.get(), PATIENCE_S)
        for server in setup.fleet.servers:
            await server.come_back()
        await setup.web.until(4)
    received = by_path(setup.web)
    assert [one["kind"] for one in received["/hook"]] == ["firing", "recovered"]
    assert [one["type"] for one in received["/service"]] == ["failure", "success"]
    firing, recovered = received["/hook"]
    assert {server["name"] for server in firing["servers"]} == names
    assert firing["incident"] == recovered["incident"]
    assert mail["Subject"] == firing["title"] == received["/service"][0]["title"]
    assert firing["title"].startswith("comfywarm: most of the fleet, 4 of 4 servers unreachable for ")
    assert len(setup.stuck.requests) == 1, "the hanging channel was tried and delayed no other"


async def test_daemon_after_restart_sends_only_recovery(setup: AlertSetup) -> None:
    async with setup.run(stuck=False) as daemon:
        await loaded(daemon)
        for server in setup.fleet.servers:
            await server.go_down()
        await setup.web.until(2)
        await asyncio.wait_for(setup.mail.mails.get(), PATIENCE_S)
        await asyncio.sleep(0.5)
    async with setup.run(stuck=False):
        await asyncio.sleep(2)  # longer than the rule and the gathering take
        assert len(setup.web.requests) == 2
        for server in setup.fleet.servers:
            await server.come_back()
        await setup.web.until(4)
    assert [one["kind"] for one in by_path(setup.web)["/hook"]] == ["firing", "recovered"]
