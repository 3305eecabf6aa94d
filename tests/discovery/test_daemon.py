"""A whole daemon whose servers come from sources: they join, are warmed, vanish and are removed."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from statemachine.daemon.config import SettingsFile
from statemachine.journal.database import DISCOVERED_FILE
from statemachine.settings import parse_settings
from statemachine.simulator import PROFILES, Profile, running_fleet
from tests.cli.rig import cli
from tests.discovery.http_sd import http_sd
from tests.support.daemon import COMMON, DaemonClient, daemon_in_process

NO_HEADERS: Mapping[str, str] = {}
QUICK: dict[str, Any] = {"grace_s": 0.2, "cache_check": {"kind": "text"}}
QUICKLY = Profile("quick", load_seconds=0.05)
TIMING = {"retry_s": 0.1, "lost_grace_s": 0.5, "link_backoff_max_s": 0.5}


def name_of(url: str) -> str:
    return url.removeprefix("http://")


async def names(client: DaemonClient) -> set[str]:
    return {one["name"] for one in (await client.get("/api/status"))["servers"]}


async def wait_for_names(client: DaemonClient, *expected: str) -> None:
    await client.wait_for("/api/status", lambda status: {one["name"] for one in status["servers"]} == set(expected))


async def keep_registering(client: DaemonClient, address: str, **labels: str) -> None:
    while True:
        body = {"address": address, "labels": labels}
        async with client.session.post(f"{client.address}/api/register", json=body) as response:
            assert await response.json() == {"heartbeat_s": 0.2}
        await asyncio.sleep(0.2)


async def notices(client: DaemonClient) -> list[str]:
    log = await client.get("/api/log?limit=200")
    return [one["reason"] for one in log["entries"] if one["reason"].startswith("discovery")]


def reloads(log: Any) -> list[str]:
    return [one["message"].partition(": ")[2] for one in log["entries"] if one["reason"] == "settings_reloaded"]


async def test_servers_of_a_file_are_warmed_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    path.write_text("[]")
    settings = {"discovery": [{"kind": "file", "name": "rack", "path": str(path), **QUICK}], "timing": TIMING}
    async with running_fleet([QUICKLY, QUICKLY]) as fleet:
        first, second = map(name_of, fleet.urls)
        async with daemon_in_process(tmp_path, settings) as client:
            assert await names(client) == set()
            assert (await client.wait_for("/readyz", lambda one: one["ready"]))["ready"]
            path.write_text(json.dumps([{"targets": [first, second], "labels": {"zone": "a"}}]))
            await client.wait_for_states({"loaded": 2})
            assert (await client.get("/readyz"))["ready"], "a server that comes later does not make it unready"
            origin = await client.get(f"/api/servers/{first}/origin")
            assert origin == {"server": first, "source": "rack", "labels": {"zone": "a"}}
            path.write_text(json.dumps([{"targets": [second]}]))
            await wait_for_names(client, second)
            shown = await client.get("/api/discovery")
            transitions = await client.transitions(second)
            assert await notices(client) == ["discovery_changed"] * 2
    assert [(one["name"], one["servers"], one["error"]) for one in shown["sources"]] == [("rack", 1, None)]
    assert [one for one, _ in transitions].count("loaded") == 1, "the other server was left alone"
    assert [len(server.log) for server in fleet.servers] == [1, 1]


async def test_servers_of_http_sd_survive_its_failure_and_a_restart(tmp_path: Path) -> None:
    async with running_fleet([PROFILES["loaded"]]) as fleet, http_sd() as sd:
        source = {"kind": "http", "name": "cloud", "url": sd.url, "interval_s": 0.1, **QUICK}
        sd.answer = [{"targets": [name_of(fleet.urls[0]), "not an address"]}]
        async with daemon_in_process(tmp_path, {"discovery": [source], "timing": TIMING}) as client:
            await client.wait_for_states({"loaded": 1})
            sd.status = 500
            failing = await client.wait_for("/api/discovery", lambda one: one["sources"][0]["failures"] >= 3)
            assert len(await names(client)) == 1
        assert failing["sources"][0]["error"] == "HTTP status 500; 200 is expected"
        assert (tmp_path / "data" / DISCOVERED_FILE).exists()
        async with daemon_in_process(tmp_path, {"discovery": [source], "timing": TIMING}) as client:
            await client.wait_for_states({"loaded": 1})
            recorded = await notices(client)
    assert sorted(recorded) == ["discovery_changed", "discovery_failed", "discovery_refused"], "the server was known"


async def test_status_names_sources_in_trouble(tmp_path: Path) -> None:
    path, settings = tmp_path / "targets.json", tmp_path / "settings.json"
    path.write_text(json.dumps([{"targets": [f"127.0.0.1:{port}" for port in (1, 2, 3)]}]))
    source = {"kind": "file", "name": "rack", "path": str(path)}
    data = {**COMMON, "discovery": [source]}
    settings.write_text(json.dumps(data))
    async with daemon_in_process(tmp_path, data) as client:
        await wait_for_names(client, *(f"127.0.0.1:{port}" for port in (1, 2, 3)))
        assert "rack" not in (await cli(settings, "status")).stdout
        path.write_text("[]")
        await client.wait_for("/api/discovery", lambda one: one["sources"][0]["held"])
        held = await cli(settings, "status")
        path.write_text("[")
        await client.wait_for("/api/discovery", lambda one: one["sources"][0]["failures"])
        failing = json.loads((await cli(settings, "status", "--json")).stdout)["sources"]
    assert "source rack (file): 3 of 3 servers are missing; at most 1 are removed within 300 s; " in held.stdout
    assert [(one["name"], one["error_code"], one["held"]) for one in failing] == [("rack", "source_invalid_json", None)]


async def test_server_registers_and_vanishes(tmp_path: Path) -> None:
    source = {"kind": "register", "name": "nodes", "heartbeat_s": 0.2, "group_label": "group", **QUICK}
    settings = {"discovery": [source], "timing": TIMING}
    async with running_fleet([QUICKLY]) as fleet, daemon_in_process(tmp_path, settings) as client:
        beating = asyncio.ensure_future(keep_registering(client, fleet.urls[0], group="rented"))
        detail = await client.wait_for_detail(name_of(fleet.urls[0]), lambda one: one.get("state") == "loaded")
        origin = await client.get(f"/api/servers/{name_of(fleet.urls[0])}/origin")
        assert (detail["group"], origin["source"]) == ("rented", "nodes")
        beating.cancel()
        await wait_for_names(client)


async def test_registration_without_a_source_is_refused(tmp_path: Path) -> None:
    async with (
        daemon_in_process(tmp_path, {"servers": ["http://127.0.0.1:1"]}) as client,
        client.session.post(f"{client.address}/api/register", json={"address": "gpu:8188"}) as response,
    ):
        assert (response.status, (await response.json())["error"]["code"]) == (404, "no_registration")


async def test_wrong_registration_is_refused(tmp_path: Path) -> None:
    source = {"kind": "register", "name": "nodes", "group_label": "group"}
    bodies: list[Any] = [
        {"address": "gpu:99999"},
        {"address": "http://user:pw@gpu:8188"},
        {"address": "gpu:8188", "labels": {"group": "a/b"}},
        {"address": "gpu:8188", "labels": {"group": 3}},
        {"address": "gpu:8188", "more": 1},
        {},
        [],
    ]
    async with daemon_in_process(tmp_path, {"discovery": [source]}) as client:
        for body in bodies:
            async with client.session.post(f"{client.address}/api/register", json=body) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (400, "invalid_registration")
        assert await names(client) == set()


async def test_registration_needs_the_token(tmp_path: Path) -> None:
    settings = {"discovery": [{"kind": "register", "name": "nodes"}], "listen": {"port": 0, "token": "geheim"}}
    async with daemon_in_process(tmp_path, settings) as client:
        url = f"{client.address}/api/register"
        async with client.session.post(url, json={"address": "gpu:8188"}) as response:
            assert response.status == 401
        headers = {"Authorization": "Bearer geheim"}
        async with client.session.post(url, json={"address": "127.0.0.1:1"}, headers=headers) as response:
            assert response.status == 200


async def register(
    client: DaemonClient, address: str, token: str = "", more: Mapping[str, str] = NO_HEADERS, **labels: str
) -> tuple[int, str]:
    """Register a server; return the status and the code of the error."""
    headers = {**more, **({"Authorization": f"Bearer {token}"} if token else {})}
    body = {"address": address, "labels": labels}
    async with client.session.post(f"{client.address}/api/register", json=body, headers=headers) as response:
        return response.status, (await response.json()).get("error", {}).get("code", "")


async def test_token_that_may_only_register_registers(tmp_path: Path) -> None:
    tokens = {
        "nodes": {"token": "token-of-nodes", "may": "register"},
        "wall": {"token": "token-of-wall", "may": "read"},
    }
    settings = {"discovery": [{"kind": "register", "name": "nodes"}], "listen": {"port": 0, "tokens": tokens}}
    async with daemon_in_process(tmp_path, settings) as client:
        assert await register(client, "127.0.0.1:1", "token-of-nodes") == (200, "")
        assert await register(client, "127.0.0.1:1", "token-of-wall") == (403, "token_may_not_act")
        headers = {"Authorization": "Bearer token-of-nodes"}
        paths = (await client.get("/openapi.json"))["paths"]
        protected = [path for path, one in paths.items() if "401" in one.get("post", {}).get("responses", {})]
        assert len(protected) > 5
        for path in (
            one.format(name="a", group="default", action="pause") for one in protected if one != "/api/register"
        ):
            async with client.session.post(f"{client.address}{path}", json={}, headers=headers) as response:
                assert (path, response.status) == (path, 403)


async def test_server_registers_only_its_own_address(tmp_path: Path) -> None:
    source: dict[str, Any] = {"kind": "register", "name": "nodes"}
    async with daemon_in_process(tmp_path, {"discovery": [source]}) as client:
        for address in ("192.0.2.1:8188", "gpu.example.com:8188", "http://127.0.0.1.example.com:8188"):
            assert await register(client, address) == (403, "address_not_permitted")
        assert await names(client) == set()
    source |= {"networks": ["192.0.2.0/24"]}
    async with daemon_in_process(tmp_path, {"discovery": [source]}) as client:
        assert await register(client, "192.0.2.1:8188") == (200, "")
        assert await register(client, "127.0.0.1:8188") == (403, "address_not_permitted")


@pytest.mark.parametrize("header", [{"Connection": "close"}, {"X-Forwarded-For": "192.0.2.9"}])
async def test_proxy_registers_no_server_of_its_own_machine(tmp_path: Path, header: dict[str, str]) -> None:
    """Behind a proxy every client has its address. nginx alone sends no header of its own, but closes."""
    tokens = {"nodes": {"token": "token-of-nodes", "may": "register"}}
    settings = {"discovery": [{"kind": "register", "name": "nodes"}], "listen": {"port": 0, "tokens": tokens}}
    async with daemon_in_process(tmp_path, settings) as client:
        assert await register(client, "127.0.0.1:1", "token-of-nodes", header) == (403, "address_not_permitted")


async def test_registration_that_joins_no_fleet_says_why(tmp_path: Path) -> None:
    source = {"kind": "register", "name": "nodes", "name_label": "id", "max_servers": 1}
    settings = {"discovery": [source], "servers": [{"url": "http://127.0.0.1:1", "name": "own"}]}
    async with daemon_in_process(tmp_path, settings) as client:
        assert await register(client, "127.0.0.1:2", id="own") == (409, "name_taken")
        assert await register(client, "127.0.0.1:2", id="one") == (200, "")
        await wait_for_names(client, "own", "one")
        assert await register(client, "127.0.0.1:3", id="two") == (507, "no_place")
        shown = await client.wait_for("/api/discovery", lambda one: one["sources"][0]["refused_total"] == 1)
        assert shown["sources"][0]["refused"] == ["servers beyond max_servers of 1: 1"]


async def test_reload_adds_and_removes_a_source(tmp_path: Path) -> None:
    (tmp_path / "targets.json").write_text("[]")
    async with running_fleet([PROFILES["loaded"], PROFILES["loaded"]]) as fleet:
        first, second = map(name_of, fleet.urls)
        (tmp_path / "targets.json").write_text(json.dumps([{"targets": [second]}]))
        path = tmp_path / "settings.json"
        own = {**COMMON, "servers": [fleet.urls[0]]}
        both = {**own, "discovery": [{"kind": "file", "name": "rack", "path": "targets.json", **QUICK}]}
        path.write_text(json.dumps(own))
        source = SettingsFile(path, lambda: parse_settings(json.loads(path.read_text()), tmp_path, {}))
        async with daemon_in_process(tmp_path, own, source=source) as client:
            await wait_for_names(client, first)
            path.write_text(json.dumps(both))
            await wait_for_names(client, first, second)
            (tmp_path / "targets.json").write_text("[]")
            await wait_for_names(client, first)
            (tmp_path / "targets.json").write_text(json.dumps([{"targets": [second]}]))
            await wait_for_names(client, first, second)
            path.write_text(json.dumps(own))
            await wait_for_names(client, first)
            log = await client.wait_for("/api/log?limit=200", lambda log: len(reloads(log)) == 2)
            said = "servers added 0, removed {}, changed 0; settings changed: discovery"
            assert reloads(log) == [said.format(count) for count in (1, 0)]
            assert await notices(client) == ["discovery_changed"] * 3


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_prompt_in_flight_of_a_removed_server_is_not_sent_again(tmp_path: Path, *, is_replaced: bool) -> None:
    """It is in the journal meanwhile. Another process at the address does not have it, and gets one of its own."""
    path = tmp_path / "targets.json"
    settings = {"discovery": [{"kind": "file", "name": "rack", "path": str(path), **QUICK}], "timing": TIMING}
    async with running_fleet([Profile("slow", load_seconds=0.7)]) as fleet:
        name = name_of(fleet.urls[0])
        path.write_text(json.dumps([{"targets": [name]}]))
        async with daemon_in_process(tmp_path, settings) as client:
            await client.wait_for("/api/status", lambda one: one["states"].get("warming"))
            path.write_text("[]")
            await wait_for_names(client)
            if is_replaced:
                await fleet.servers[0].go_down()
                await fleet.servers[0].come_back()
            path.write_text(json.dumps([{"targets": [name]}]))
            await client.wait_for_states({"loaded": 1})
    assert len(fleet.servers[0].log) == (2 if is_replaced else 1)


@pytest.mark.parametrize("is_paused", [False, True])
async def test_other_server_at_the_same_address_is_warmed(tmp_path: Path, *, is_paused: bool) -> None:
    """A pause ends when the server is removed: what comes under its name is another machine."""
    path = tmp_path / "targets.json"
    settings = {"discovery": [{"kind": "file", "name": "rack", "path": str(path), **QUICK}], "timing": TIMING}
    async with running_fleet([QUICKLY]) as fleet:
        name, server = name_of(fleet.urls[0]), fleet.servers[0]
        path.write_text(json.dumps([{"targets": [name]}]))
        async with daemon_in_process(tmp_path, settings) as client:
            await client.wait_for_states({"loaded": 1})
            if is_paused:
                await client.session.post(f"{client.address}/api/servers/{name}/pause")
                await client.wait_for_states({"paused": 1})
            path.write_text("[]")
            await wait_for_names(client)
            await server.go_down()
            await server.come_back()  # another process, with nothing cached
            path.write_text(json.dumps([{"targets": [name]}]))
            await client.wait_for_states({"loaded": 1})
    assert len(server.log) == 2


async def test_commands_know_the_discovered_servers(tmp_path: Path) -> None:
    path, settings = tmp_path / "targets.json", tmp_path / "settings.json"
    source = {"kind": "file", "name": "rack", "path": "targets.json", "group": "rented", **QUICK}
    data = {**COMMON, "discovery": [source], "traffic": {"agent_port": 9000}}
    settings.write_text(json.dumps(data))
    async with running_fleet([PROFILES["loaded"]]) as fleet:
        name = name_of(fleet.urls[0])
        path.write_text(json.dumps([{"targets": [name]}]))
        assert name not in (await cli(settings, "haproxy")).stdout
        async with daemon_in_process(tmp_path, data) as client:
            await client.wait_for_states({"loaded": 1})
        check, doctor = await cli(settings, "check"), await cli(settings, "doctor")
        assert (check.exit_code, doctor.exit_code) == (0, 0), check.stdout + doctor.stdout
        assert name in check.stdout
        assert name in doctor.stdout
        assert f"server {name} {name}" in (await cli(settings, "haproxy")).stdout
