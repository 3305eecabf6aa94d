"""Uploads: kept by the gateway, and handed to a server before the first prompt that uses them."""

import asyncio
import json
from contextlib import AsyncExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from statemachine.gateway.errors import GatewayError
from statemachine.gateway.uploads import Receiving
from tests.gateway.rig import FakeDaemon, Site, image_graph, running_servers, running_site, start_site

CONTENT = b"\x89PNG content"
TOKENS = {"alice": "a-token-of-alice", "bob": "the-token-of-bob"}
ALICE, BOB = ({"Authorization": f"Bearer {token}"} for token in TOKENS.values())


def form(content: bytes = CONTENT, name: str = "cat.png", **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    data.add_field("image", content, filename=name, content_type="image/png")
    for key, value in fields.items():
        data.add_field(key, value)
    return data


async def upload(site: Site, data: aiohttp.FormData, path: str = "/upload/image", **options: Any) -> tuple[int, Any]:
    async with site.session.post(site.url + path, data=data, **options) as response:
        return response.status, await response.json()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def graph_with(image: str) -> dict[str, Any]:
    graph = image_graph("upload")
    graph["2"]["inputs"]["filename_prefix"] = image
    return graph


async def test_upload_reaches_the_chosen_server_before_its_prompt(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        _, kept = await upload(site, form(subfolder="pets"))
        path = f"{kept['subfolder']}/{kept['name']}"
        await site.post(graph_with(path))
        [server] = [one for one in site.servers if one.posted]
        order = [request for request in server.requests if request[0] == "POST"]
    assert (kept["subfolder"], kept["type"], server.uploads) == ("pets", "input", {path: CONTENT})
    assert order == [("POST", "/upload/image"), ("POST", "/prompt")]


async def test_original_name_in_a_graph_means_the_latest_upload(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        await upload(site, form(b"old"))
        _, kept = await upload(site, form(b"new"))
        await site.post(graph_with("cat.png"))
        [server] = site.servers
        body = server.log[-1].body
    assert body["prompt"]["2"]["inputs"]["filename_prefix"] == kept["name"]
    assert server.uploads[kept["name"]] == b"new"


async def test_upload_is_handed_over_once(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        _, kept = await upload(site, form())
        for _ in range(3):
            await site.post(graph_with(kept["name"]))
        assert site.servers[0].requests.count(("POST", "/upload/image")) == 1


async def test_prompts_that_wait_for_their_uploads_go_to_different_servers(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=3) as site:
        kept = [(await upload(site, form(bytes([number]))))[1]["name"] for number in range(6)]
        await asyncio.gather(*(site.post(graph_with(name)) for name in kept))
        assert [len(server.posted) for server in site.servers] == [2, 2, 2]


async def test_upload_through_one_gateway_works_through_another(tmp_path: Path) -> None:
    async with running_servers(2) as (servers, names), AsyncExitStack() as stack:
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        one, two = [
            await start_site(stack, tmp_path / name, servers, names, daemon, tokens=TOKENS) for name in ("one", "two")
        ]
        _, kept = await upload(one, form(subfolder="pets"), headers=ALICE)
        path = f"{kept['subfolder']}/{kept['name']}"
        shown = [await view(site, path, who) for site in (one, two) for who in (ALICE, BOB)]
        for number in range(4):
            graph = {**graph_with(path), "3": {"class_type": "RigSlowModel", "inputs": {"name": str(number)}}}
            await two.try_post(graph, headers=ALICE)
    assert shown == [(200, CONTENT), (404, b"")] * 2
    assert all(server.posted for server in servers)
    assert [server.uploads for server in servers] == [{path: CONTENT}] * 2


async def view(site: Site, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    params = {"filename": path, "type": "input"}
    async with site.session.get(f"{site.url}/view", params=params, headers=headers) as response:
        return response.status, await response.read()


async def test_file_of_a_server_with_another_content_is_no_upload(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        name = f"cat-{'0' * 16}.png"
        site.servers[0].uploads[name] = b"of the operator"
        status, _ = await view(site, name, {})
        await site.post(graph_with(name))
        posted = site.servers[0].log[-1].body["prompt"]["2"]["inputs"]["filename_prefix"]
    assert (status, posted, list(site.gateway.uploads)) == (404, name, [])


async def test_mask_is_handed_over_after_its_image(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        _, image = await upload(site, form())
        reference = json.dumps({"filename": image["name"], "subfolder": "", "type": "input"})
        _, mask = await upload(site, form(b"mask", "mask.png", original_ref=reference), "/upload/mask")
        await site.post(graph_with(mask["name"]))
        order = [request for request in site.servers[0].requests if request[0] == "POST"]
    assert order == [("POST", "/upload/image"), ("POST", "/upload/mask"), ("POST", "/prompt")]


async def test_upload_is_shown_to_its_client(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        _, kept = await upload(site, form())
        query = {"filename": kept["name"], "type": "input"}
        async with site.session.get(f"{site.url}/view", params=query) as response:
            assert (response.status, await response.read()) == (200, CONTENT)


@pytest.mark.parametrize("name", ["../cat.png", "/etc/passwd", "a/../../b.png", "..", "a\\b.png", "x" * 200])
async def test_upload_outside_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    async with running_site(tmp_path, count=1) as site:
        by_name = await upload(site, form(name=name))
        by_subfolder = await upload(site, form(subfolder=f"{name}/.."))
    assert by_name[0] == 400 or "/" not in by_name[1]["name"]
    assert by_subfolder[0] == 400
    assert names_in(tmp_path / "gateway" / "uploads") <= {"uploads.json", sha256(b"\0" + CONTENT).hexdigest()}


def test_upload_that_is_too_large_is_refused_and_removed(tmp_path: Path) -> None:
    received = Receiving(tmp_path, "", limit=1000)
    received.write(bytes(1000))
    with pytest.raises(GatewayError, match="larger"):
        received.write(b"x")
    received.discard()
    assert list(tmp_path.iterdir()) == []


async def test_upload_that_is_no_form_is_refused(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        response = await site.session.post(f"{site.url}/upload/image", data=b"text")
    assert response.status == 400


async def test_oldest_uploads_of_a_client_make_room(tmp_path: Path) -> None:
    megabyte = 1024 * 1024
    async with running_site(tmp_path, count=1, max_upload_mb=2) as site:
        kept = [(await upload(site, form(bytes([number]) * megabyte)))[1]["name"] for number in range(3)]
        found = [one.name for one in site.gateway.uploads]
    assert found == kept[1:]
