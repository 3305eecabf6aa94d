"""GET /api/status: its cache, its ETag and its compression."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application

from statemachine.core.vocabulary import Reason, State
from statemachine.web.status import MAX_AGE_S, StatusHandler
from tests.web.site import COLD, LOADED, NOW, Client, Site, running_site, view


async def etag_of(site: Site) -> str:
    async with site.client.get("/api/status") as response:
        return response.headers["ETag"]


async def asked_again(site: Site, etag: str) -> tuple[int, bytes]:
    async with site.client.get("/api/status", headers={"If-None-Match": etag}) as response:
        assert "ETag" in response.headers
        return response.status, await response.read()


async def test_status_after_change_is_current(site: Site) -> None:
    for queue_remaining in (3, 1, 4):
        cold = site.snapshot.get(COLD)
        assert cold is not None
        site.snapshot.put(cold._replace(queue_remaining=queue_remaining))
        _, body = await site.get("/api/status")
        assert [one["queue_remaining"] for one in body["servers"]] == [None, queue_remaining]


async def test_status_after_removal_omits_server(site: Site) -> None:
    await site.get("/api/status")
    site.snapshot.set_order([COLD])
    _, body = await site.get("/api/status")
    assert [one["name"] for one in body["servers"]] == [COLD]
    assert (body["total"], body["states"]) == (1, {"cold": 1})


async def test_status_with_current_etag_is_304(site: Site) -> None:
    etag = await etag_of(site)
    assert await asked_again(site, etag) == (304, b"")
    assert await asked_again(site, f'"other", {etag}') == (304, b"")
    assert await asked_again(site, "*") == (304, b"")


@pytest.mark.parametrize("header", ['"other"', 'W/"0"', "", "no etag"])
async def test_status_with_other_etag_is_sent_completely(site: Site, header: str) -> None:
    status, body = await asked_again(site, header)
    assert (status, orjson.loads(body)["total"]) == (200, 2)


async def test_status_with_outdated_etag_is_sent_completely(site: Site) -> None:
    etag = await etag_of(site)
    site.snapshot.put(view(LOADED, State.UNKNOWN, Reason.LINK_LOST))
    status, body = await asked_again(site, etag)
    assert (status, orjson.loads(body)["states"]) == (200, {"unknown": 1, "cold": 1})


async def test_status_with_etag_of_other_daemon_is_sent_completely(site: Site, tmp_path: Path) -> None:
    async with running_site(tmp_path / "other") as other:
        assert (await asked_again(other, await etag_of(site)))[0] == 200


async def test_compressed_status_equals_plain_status(tmp_path: Path) -> None:
    views = [view(f"192.0.2.{number}:8188", State.LOADED, Reason.ALL_CACHED) for number in range(1, 251)]
    async with running_site(tmp_path, views=views) as site:
        for state in (State.LOADED, State.COLD):
            site.snapshot.put(views[0]._replace(state=state))
            assert gzip.decompress(await raw(site, "gzip, deflate")) == await raw(site, "identity")


async def raw(site: Site, encoding: str) -> bytes:
    """Return the body without decoding it."""
    headers = {"Accept-Encoding": encoding}
    address = site.client.make_url("/api/status")
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(address, headers=headers) as response,
    ):
        assert response.headers.get("Content-Encoding", "identity") == encoding.split(",", maxsplit=1)[0]
        return await response.read()


@dataclass
class Clock:
    """A wall clock that the test sets."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def status_alone(site: Site, clock: Clock) -> AsyncIterator[Client]:
    app = Application()
    app.router.add_get("/", StatusHandler(replace(site.ports, now=clock)).handle)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize(
    ("later_s", "generated_at"),
    [
        (MAX_AGE_S / 2, "2026-01-01T00:00:00.000Z"),
        (MAX_AGE_S * 2, "2026-01-01T00:00:02.000Z"),
        (-3600.0, "2025-12-31T23:00:00.000Z"),
    ],
)
async def test_generated_at_of_unchanged_status_is_recent(site: Site, later_s: float, generated_at: str) -> None:
    clock = Clock()
    async with status_alone(site, clock) as client:
        async with client.get("/") as response:
            first = await response.json()
        clock.now += later_s
        async with client.get("/") as response:
            second = await response.json()
    assert first["generated_at"] == "2026-01-01T00:00:00.000Z"
    assert second == {**first, "generated_at": generated_at}
