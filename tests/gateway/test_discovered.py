"""Servers that the daemon discovers are servers of the gateway while it runs."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence, Set
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest_asyncio

from statemachine.comfyui.network import TlsContexts
from statemachine.discovery.store import KnownTargets, write_targets
from statemachine.gateway.fleet_follower import FleetFollower
from statemachine.gateway.process import running_gateway
from statemachine.journal.database import DISCOVERED_FILE
from statemachine.settings import ServerConfig, parse_settings
from tests.discovery.samples import target, targets
from tests.gateway.rig import SOON, FakeDaemon, Site, image_graph, running_servers
from tests.gateway.test_uploads import CONTENT, form, graph_with, upload
from tests.support.polling import wait_until

SOURCE = {"kind": "file", "name": "rack", "path": "unused.json", "name_label": "pod"}


def discover(site: Site, names: Iterable[str]) -> None:
    """Store servers as the daemon does, and have the daemon publish them."""
    found = targets(*names)
    write_targets(site.settings.data_dir, KnownTargets({"rack": found}))
    site.daemon.states = {one.name: "loaded" for one in found}


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A gateway that knows no server yet, and two servers."""
    async with AsyncExitStack() as stack:
        servers, names = await stack.enter_async_context(running_servers(2))
        section = {"port": 0, "data_dir": str(tmp_path / "gateway")}
        data = {"discovery": [SOURCE], "gateway": section, "logging": {"file": None}}
        settings = parse_settings(data, tmp_path, {})
        assert settings.gateway is not None
        settings.data_dir.mkdir()
        daemon = FakeDaemon({})
        running = await stack.enter_async_context(running_gateway(settings, settings.gateway, lambda: daemon, SOON))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Site(servers, names, running, daemon, session, settings)


def states(site: Site) -> dict[str, str]:
    return {one.name: one.state for one in site.gateway.view}


async def test_server_that_is_discovered_later_gets_prompts(site: Site) -> None:
    status, _ = await site.try_post(image_graph())
    assert status == 503
    discover(site, site.names)
    await wait_until(lambda: states(site) == dict.fromkeys(site.names, "loaded"))
    await wait_until(lambda: all(server.sockets for server in site.servers))
    for number in range(2):
        await site.post(image_graph(f"model{number}", 0.2))
    assert [len(server.posted) for server in site.servers] == [1, 1]


async def test_server_that_has_gone_gets_none_and_ends_its_prompts(site: Site) -> None:
    discover(site, site.names[:1])
    await wait_until(lambda: site.servers[0].sockets)
    prompt_id = (await site.post(image_graph(seconds=0.7)))["prompt_id"]
    discover(site, site.names[1:])
    await wait_until(lambda: states(site) == {site.names[0]: "left", site.names[1]: "loaded"})
    await site.post(image_graph("other"))
    assert [len(server.posted) for server in site.servers] == [1, 1]
    assert (await site.wait_entry(prompt_id))["status"]["status_str"] == "success"
    await wait_until(lambda: list(states(site)) == site.names[1:])
    await wait_until(lambda: not site.servers[0].sockets)
    async with site.session.get(f"{site.url}/metrics") as response:
        assert site.names[0] not in await response.text()


async def test_list_that_cannot_be_read_removes_no_server(tmp_path: Path) -> None:
    settings, used = parse_settings({"discovery": [SOURCE], "data_dir": str(tmp_path)}, tmp_path, {}), list[list[str]]()

    async def use(servers: Sequence[ServerConfig], _left: Set[str]) -> None:
        used.append([one.name for one in servers])

    async def listed() -> Set[str]:
        return set()

    write_targets(tmp_path, KnownTargets({"rack": targets("gpu1:8188")}))
    follower = FleetFollower(settings, TlsContexts(), list, set[str], listed, use, 0.01)
    running = asyncio.ensure_future(follower.run())
    await wait_until(lambda: used)
    (tmp_path / DISCOVERED_FILE).write_text("{")
    await asyncio.sleep(0.2)
    (tmp_path / DISCOVERED_FILE).unlink()
    await asyncio.sleep(0.2)
    running.cancel()
    assert all(names == ["gpu1:8188"] for names in used)


async def test_source_that_is_renamed_in_the_settings_keeps_its_servers(site: Site) -> None:
    """The gateway has the settings of its start, and the daemon still has the servers."""
    discover(site, site.names)
    await wait_until(lambda: states(site) == dict.fromkeys(site.names, "loaded"))
    write_targets(site.settings.data_dir, KnownTargets({"renamed": targets(*site.names)}))
    await asyncio.sleep(0.5)
    assert states(site) == dict.fromkeys(site.names, "loaded")


async def test_other_machine_under_the_name_gets_the_uploads_again(site: Site) -> None:
    """As the next pod of a StatefulSet, whose disk is empty."""
    discover_pod(site, site.names[0])
    await wait_until(lambda: states(site) == {"pod-0": "loaded"})
    _, kept = await upload(site, form())
    await site.wait_entry((await site.post(graph_with(kept["name"])))["prompt_id"])
    discover_pod(site, site.names[1])
    await wait_until(lambda: [one.config.url for one in site.gateway.view] == [f"http://{site.names[1]}"])
    await wait_until(lambda: states(site) == {"pod-0": "loaded"})
    await site.post(graph_with(kept["name"]))
    assert [list(server.uploads.values()) for server in site.servers] == [[CONTENT], [CONTENT]]


def discover_pod(site: Site, name: str) -> None:
    write_targets(site.settings.data_dir, KnownTargets({"rack": (target(name, pod="pod-0"),)}))
    site.daemon.states = {"pod-0": "loaded"}
