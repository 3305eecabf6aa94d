"""Clients among each other: tokens, limits, and what hostile clients try."""

import asyncio
import socket
from base64 import b64encode
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from tests.gateway.rig import Site, image_graph, listening, running_site
from tests.support.polling import PATIENCE_S, wait_for, wait_until

TOKENS = {"alice": "alice-token-1", "bob": "bob-token-22"}
ALICE, BOB = ({"Authorization": f"Bearer {token}"} for token in TOKENS.values())
TWO_TOKENS = CIMultiDict([*ALICE.items(), *BOB.items()])
BASIC = {"Authorization": f"Basic {b64encode(b'any:bob-token-22').decode()}"}


async def status_of(site: Site, method: str, path: str, **options: Any) -> int:
    async with site.session.request(method, site.url + path, **options) as response:
        return response.status


async def test_request_without_known_token_is_refused(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site:
        wrong = [
            await status_of(site, "GET", "/queue", headers=headers)
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "alice-token-1"}, TWO_TOKENS)
        ]
        right = [
            await status_of(site, "GET", "/queue", headers=ALICE),
            await status_of(site, "GET", "/queue?token=bob-token-22"),
            await status_of(site, "GET", "/queue", headers=BASIC),
        ]
        with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
            await site.session.ws_connect(f"{site.url}/ws?clientId=x")
    assert (wrong, right) == ([401] * 4, [200, 200, 200])


async def test_request_through_proxy_or_foreign_page_is_refused(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        for headers in ({"X-Forwarded-For": "192.0.2.1"}, {"Origin": "http://example.com"}):
            assert await status_of(site, "POST", "/prompt", json={}, headers=headers) == 403
        async with site.session.get(f"{site.url}/queue", headers={"Host": "example.com"}) as response:
            error = (await response.json())["error"]
    assert (response.status, error["type"]) == (421, "unknown_host")
    assert "gateway.hosts" in error["message"]


async def test_client_that_closes_its_connections_is_served(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        assert await status_of(site, "GET", "/queue", headers={"Connection": "close"}) == 200


async def test_prompts_of_other_clients_are_out_of_reach(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site, listening(site, "x", headers=BOB) as bob:
        answer = await site.try_post(image_graph("a", 0.3), headers=ALICE, client_id="x")
        prompt_id = answer[1]["prompt_id"]
        await site.session.post(f"{site.url}/interrupt", json={"prompt_id": prompt_id}, headers=BOB)
        await site.session.post(f"{site.url}/interrupt", headers=BOB)
        await site.session.post(f"{site.url}/queue", json={"delete": [prompt_id]}, headers=BOB)
        cancelled = await (await site.session.post(f"{site.url}/api/jobs/{prompt_id}/cancel", headers=BOB)).json()
        queue = await site.get("/queue", headers=BOB)
        entry = await wait_for(lambda: site.get(f"/history/{prompt_id}", headers=ALICE))
        await site.session.post(f"{site.url}/history", json={"delete": [prompt_id]}, headers=BOB)
        image = entry[prompt_id]["outputs"]["2"]["images"][0]
        seen = [await status_of(site, "GET", "/view", params=image, headers=one) for one in (BOB, ALICE)]
        others = [await site.get(path, headers=BOB) for path in (f"/history/{prompt_id}", "/history")]
        own = (await site.try_post(image_graph("b"), headers=BOB, client_id="x"))[1]["prompt_id"]
        await bob.until_end(own)
    assert (entry[prompt_id]["status"]["status_str"], cancelled) == ("success", {"cancelled": False})
    assert queue == {"queue_running": [], "queue_pending": []}
    assert (seen, others, bob.prompts) == ([404, 200], [{}, {}], {own})


async def test_file_that_the_prompt_has_not_written_is_not_shown(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        prompt_id = (await site.post(image_graph()))["prompt_id"]
        await site.wait_entry(prompt_id)
        statuses = [
            await status_of(site, "GET", "/view", params={"filename": name, "subfolder": folder, "type": kind})
            for name, folder, kind in [
                ("ComfyUI_00001_.png", prompt_id, "output"),
                ("ComfyUI_00000_.png", "", "output"),
                ("ComfyUI_00000_.png", f"{prompt_id}/..", "output"),
                ("../../settings.json", prompt_id, "output"),
                ("../gateway.db", "", "input"),
                ("ComfyUI_00000_.png", prompt_id, "input"),
            ]
        ]
        views = [request for request in site.servers[0].requests if request[1] == "/view"]
    assert (set(statuses), views) == ({404}, [])


async def test_too_many_prompts_of_a_client_are_refused(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1, tokens=TOKENS, max_prompts=3) as site:
        posts = [site.try_post(image_graph(str(index), 0.2), headers=ALICE) for index in range(8)]
        statuses = [status for status, _ in await asyncio.gather(*posts)]
        other, _ = await site.try_post(image_graph("b"), headers=BOB)
    assert (sorted(statuses), other) == ([200] * 3 + [429] * 5, 200)


async def test_clients_take_turns_on_a_server(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1, tokens=TOKENS) as site:
        ids = {}
        for name in ("a1", "a2", "a3", "a4"):
            ids[(await site.try_post(image_graph(name, 0.15), headers=ALICE))[1]["prompt_id"]] = name
        last = (await site.try_post(image_graph("b1", 0.05), headers=BOB))[1]["prompt_id"]
        ids[last] = "b1"
        await wait_for(lambda: site.get(f"/history/{last}", headers=BOB))
        done = [ids[one] for one in site.servers[0].process.queue.history]
    assert done == ["a1", "b1"]


async def test_upload_that_never_ends_delays_no_other(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        host, port = site.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /upload/image HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 99999999\r\n\r\n--b\r\nContent-Disposition: form-data; name=image; filename=a.png\r\n\r\n"
        )
        await writer.drain()
        async with asyncio.timeout(PATIENCE_S):
            await site.wait_entry((await site.post(image_graph()))["prompt_id"])
        writer.close()
        del reader


async def test_client_that_reads_no_frames_delays_no_other(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site, listening(site) as other:
        host, port = site.url.removeprefix("http://").split(":")
        deaf = socket.create_connection((host, int(port)))
        deaf.sendall(
            b"GET /ws?clientId=deaf HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        key = ("", "deaf")
        await wait_until(lambda: site.gateway.sockets.has(key))
        for _ in range(64):
            site.gateway.sockets.send(key, bytes(1024 * 1024))
        own = (await site.post(image_graph(), client_id=other.client_id))["prompt_id"]
        await other.until_end(own)
        deaf.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/view?subfolder=%00&filename=%ff"),
        ("POST", "/queue"),
        ("GET", "/history?max_items=x"),
        ("GET", "/nope"),
    ],
)
async def test_request_not_understood_is_refused(tmp_path: Path, method: str, path: str) -> None:
    async with running_site(tmp_path, count=1) as site:
        status = await status_of(site, method, path, data=b"[" if method == "POST" else None)
    assert 400 <= status < 500
