"""A whole daemon over simulated servers: a dead host is one message on every kind of channel, over a restart too."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from statemachine.daemon.app import running_daemon
from statemachine.settings import parse_settings
from statemachine.simulator import PERSONAS
from statemachine.simulator.fleet import SimFleet, running_fleet
from tests.alerts.listeners import PATIENCE_S, Listener, Mailbox, listening, receiving_mail
from tests.support.paths import WORKFLOWS

TIMING = {"check_interval_s": 0.2, "retry_s": 0.1, "http_timeout_s": 2, "link_backoff_max_s": 0.2, "link_stable_s": 0}


class World:
    """Four servers of one host, and everybody who is told of them."""

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
async def here(tmp_path: Path) -> AsyncIterator[World]:
    personas = [PERSONAS["loaded"]] * 4
    async with (
        running_fleet(personas, scale=0.01) as fleet,
        listening() as web,
        listening(hangs=True) as stuck,
        receiving_mail() as mail,
    ):
        yield World(tmp_path, fleet, web, stuck, mail)


def by_path(web: Listener) -> dict[str, list[dict[str, Any]]]:
    told: dict[str, list[dict[str, Any]]] = {"/service": [], "/hook": []}
    for one in web.requests:
        told[one.path].append(dict(one.data))
    return told


async def test_a_dead_host_is_one_message_on_each_channel_and_one_recovery(here: World) -> None:
    names = {member.name for member in here.fleet.members}
    async with here.run():
        await asyncio.sleep(0.5)
        for server in here.fleet.servers:
            await server.go_down()
        await here.web.until(2)
        mail = await asyncio.wait_for(here.mail.mails.get(), PATIENCE_S)
        for server in here.fleet.servers:
            await server.come_back()
        await here.web.until(4)
    told = by_path(here.web)
    assert [one["kind"] for one in told["/hook"]] == ["firing", "recovered"]
    assert [one["type"] for one in told["/service"]] == ["failure", "success"]
    firing, recovered = told["/hook"]
    assert {server["name"] for server in firing["servers"]} == names
    assert firing["incident"] == recovered["incident"]
    assert mail["Subject"] == firing["title"] == told["/service"][0]["title"]
    assert firing["title"].startswith("comfywarm: most of the fleet, 4 of 4 servers unreachable for ")
    assert len(here.stuck.requests) == 1, "the channel that hangs was tried, and nobody waited for it"


async def test_what_was_told_is_not_told_again_after_a_restart_and_its_recovery_is(here: World) -> None:
    async with here.run(stuck=False):
        await asyncio.sleep(0.5)
        for server in here.fleet.servers:
            await server.go_down()
        await here.web.until(2)
        await asyncio.wait_for(here.mail.mails.get(), PATIENCE_S)
        await asyncio.sleep(0.5)
    async with here.run(stuck=False):
        await asyncio.sleep(2)  # longer than the rule and the gathering take
        assert len(here.web.requests) == 2
        for server in here.fleet.servers:
            await server.come_back()
        await here.web.until(4)
    assert [one["kind"] for one in by_path(here.web)["/hook"]] == ["firing", "recovered"]
