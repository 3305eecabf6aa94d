"""Servers behind real sockets: selected by address, refusing while down, back at the same port."""

import asyncio
import sys

import aiohttp
import pytest

from statemachine.simulator import PROFILES, SimFleet, SimulateOptions, demo_fleet, running_fleet, serve_fleet
from tests.stage import watching


async def _get(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


async def test_each_server_responds_at_its_own_address() -> None:
    hosts = ["127.0.0.1", "127.0.0.2"] if sys.platform == "linux" else ["127.0.0.1"]
    profiles = [PROFILES["loaded"], PROFILES["cold"], PROFILES["stock"]]
    async with running_fleet(profiles, hosts=hosts) as fleet:
        texts = [await _get(f"{url}/cache/check") for url in fleet.urls]
    assert texts[0] == "缓存已加载。"
    assert texts[1].startswith("未查询到缓存")
    assert texts[2] == ""
    assert len({member.host for member in fleet.members}) == len(hosts)


async def test_server_down_and_up_again_listens_at_the_same_port() -> None:
    async with running_fleet([PROFILES["cold"], PROFILES["cold"]]) as fleet:
        async with watching(fleet.urls[0], "me") as closed, watching(fleet.urls[1], "me") as kept:
            await fleet.servers[0].go_down()
            await asyncio.wait_for(closed.ended(), 10)
            with pytest.raises(aiohttp.ClientConnectionError):
                await _get(f"{fleet.urls[0]}/queue")
            await kept.fence()
        await fleet.servers[0].come_back()
        assert "queue_running" in await _get(f"{fleet.urls[0]}/queue")


async def test_absent_server_refuses_connections() -> None:
    async with running_fleet([PROFILES["absent"]]) as fleet:
        with pytest.raises(aiohttp.ClientConnectionError):
            await _get(f"{fleet.urls[0]}/queue")


async def test_locked_server_refuses_a_socket_without_the_token() -> None:
    async with running_fleet([PROFILES["locked"]]) as fleet, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await session.ws_connect(f"{fleet.urls[0]}/ws")
        async with session.ws_connect(f"{fleet.urls[0]}/ws?token=let-me-in") as socket:
            assert (await socket.receive_json())["type"] == "status"


async def test_object_info_of_a_name_with_slashes_is_found() -> None:
    async with running_fleet([PROFILES["cold"]]) as fleet:
        text = await _get(f"{fleet.urls[0]}/object_info/CacheBackendData%20%2F%2FInspire")
    assert '"output_node": true' in text


async def test_demo_fleet_has_three_groups() -> None:
    async with demo_fleet(seed=1) as fleet:
        groups = [member.group for member in fleet.members]
    assert {group: groups.count(group) for group in groups} == {"public": 4, "lab": 4, "field": 5}


async def test_serve_fleet_serves_until_cancelled() -> None:
    fleets: asyncio.Queue[SimFleet] = asyncio.Queue()
    options = SimulateOptions(count=3, base_port=0, profiles=("loaded", "cold"))
    task = asyncio.create_task(serve_fleet(options, fleets.put_nowait))
    fleet = await asyncio.wait_for(fleets.get(), 10)
    assert [server.profile.name for server in fleet.servers] == ["loaded", "cold", "loaded"]
    assert await _get(f"{fleet.of('loaded').url}/cache/check") == "缓存已加载。"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_serve_fleet_with_an_unknown_profile_raises_value_error() -> None:
    with pytest.raises(ValueError, match="unknown persona stranger; available: absent, auto_executing"):
        await serve_fleet(SimulateOptions(profiles=("stranger",)), lambda _fleet: None)


async def test_simulated_fleet_started_again_has_ids_of_its_own() -> None:
    """A hook that restarts `simulate` ends a process; the next one must not be taken for it."""
    ids: list[str | None] = []
    for _ in range(2):
        async with running_fleet([PROFILES["node"]], seed=1) as fleet:
            node = fleet.servers[0].process.companion
            ids += [node.instance if node else None, fleet.servers[0].new_prompt_id()]
    assert len(set(ids)) == 4
