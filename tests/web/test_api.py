"""The documented routes and their keys."""

from pathlib import Path
from urllib.parse import quote

import pytest
from yarl import URL

from statemachine.core.levels import Level
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Reason, State
from tests.web.site import COLD, LOADED, NOW, Site, running_site, transition_entry, view

SERVER_KEYS = {
    "name",
    "url",
    "group",
    "state",
    "since",
    "cache_loaded",
    "auto_executing",
    "missing",
    "level",
    "levels",
    "reason",
    "message",
    "message_code",
    "message_params",
    "prompt_id",
    "progress",
    "queue_remaining",
    "last_check",
    "waiting_for",
    "waiting_for_code",
    "waiting_for_params",
    "next_action_at",
    "next_action_at_most",
    "pause",
    "restart",
}
DETAIL_KEYS = {"link", "server", "check", "attempts", "transitions", "counters", "has_restart_hook"}


async def test_status_has_documented_keys(site: Site) -> None:
    status, body = await site.get("/api/status")
    assert status == 200
    assert set(body) == {"generated_at", "total", "states", "servers"}
    assert (body["generated_at"], body["total"]) == ("2026-01-01T00:00:00.000Z", 2)
    assert body["states"] == {"loaded": 1, "cold": 1}
    assert [set(server) for server in body["servers"]] == [SERVER_KEYS, SERVER_KEYS]
    assert body["servers"][1] == {
        "name": COLD,
        "url": f"http://{COLD}",
        "group": "default",
        "state": "cold",
        "since": "2025-12-31T23:59:00.000Z",
        "cache_loaded": False,
        "auto_executing": False,
        "missing": ["pulid_model"],
        "level": None,
        "levels": None,
        "reason": "keys_missing",
        "message": "a sentence",
        "message_code": "verbatim",
        "message_params": {"text": "a sentence"},
        "prompt_id": None,
        "progress": None,
        "queue_remaining": 2,
        "last_check": "2025-12-31T23:59:55.000Z",
        "waiting_for": "next attempt",
        "waiting_for_code": "wait.attempt",
        "waiting_for_params": {},
        "next_action_at": "2026-01-01T00:00:09.000Z",
        "next_action_at_most": False,
        "pause": None,
        "restart": None,
    }


async def test_detailed_status_includes_history_of_each_server(site: Site) -> None:
    site.journal.append(transition_entry(COLD, "older"), Attempt(COLD, "cache_models", "p-1", NOW))
    await site.transition(COLD, "newer")
    _, body = await site.get("/api/detailed_status")
    loaded, cold = body["servers"]
    assert set(loaded) == set(cold) == SERVER_KEYS | DETAIL_KEYS
    assert (loaded["attempts"], loaded["transitions"]) == ([], [])
    assert [entry["message"] for entry in cold["transitions"]] == ["newer", "older"]
    assert [attempt["prompt_id"] for attempt in cold["attempts"]] == ["p-1"]


async def test_detailed_status_of_many_servers_keeps_order(tmp_path: Path) -> None:
    names = [f"192.0.2.{number}:8188" for number in range(1, 121)]
    views = [view(name, State.LOADED, Reason.ALL_CACHED) for name in names]
    async with running_site(tmp_path, views=views) as site:
        _, body = await site.get("/api/detailed_status")
    assert [server["name"] for server in body["servers"]] == names


@pytest.mark.parametrize("written", [COLD, quote(COLD, safe=""), "farm α 1", quote("farm α 1")])
async def test_server_is_found_by_plain_and_encoded_name(tmp_path: Path, written: str) -> None:
    views = [view(COLD, State.COLD, Reason.KEYS_MISSING), view("farm α 1", State.COLD, Reason.KEYS_MISSING)]
    async with running_site(tmp_path, views=views) as site:
        encoded = "%" in written
        path = URL(site.client.make_url("/")).join(URL(f"/api/servers/{written}", encoded=encoded))
        async with site.client.session.get(path) as response:
            assert response.status == 200
            assert (await response.json())["name"] in {COLD, "farm α 1"}


@pytest.mark.parametrize(("name", "status", "ready"), [(LOADED, 200, True), (COLD, 503, False)])
async def test_ready_is_200_only_if_loaded(site: Site, name: str, status: int, ready: bool) -> None:
    answered, body = await site.get(f"/api/servers/{name}/ready")
    assert answered == status
    assert (body["name"], body["ready"]) == (name, ready)
    assert set(body) == {"name", "ready", "state", "reason", "level", "message", "message_code", "message_params"}


async def test_levels_are_shown_where_observed(site: Site) -> None:
    known = site.snapshot.get(LOADED)
    assert known is not None
    site.snapshot.put(known._replace(levels={"a": Level.VRAM, "b": Level.KEY}))
    (line,) = [server for server in (await site.get("/api/status"))[1]["servers"] if server["name"] == LOADED]
    assert (line["level"], line["levels"]) == ("key", {"a": "vram", "b": "key"})
    assert (await site.get(f"/api/servers/{LOADED}/ready"))[1]["level"] == "key"
    assert (await site.get("/api/route"))[1]["level"] == "key"
    assert (await site.get(f"/api/servers/{COLD}/ready"))[1]["level"] is None


@pytest.mark.parametrize(
    "path",
    ["/api/servers/unknown:1", "/api/servers/unknown:1/ready", "/api/events?server=unknown:1"],
)
async def test_unknown_server_is_404(site: Site, path: str) -> None:
    status, body = await site.get(path)
    assert status == 404
    assert body == {
        "error": {"code": "unknown_server", "message": 'unknown server "unknown:1"; see /api/status for all names'}
    }


async def test_unknown_path_and_wrong_method_are_json_errors(site: Site) -> None:
    status, body = await site.get("/api/nothing")
    assert (status, body["error"]["code"]) == (404, "not_found")
    async with site.client.delete("/api/status") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"
        assert (await response.json())["error"]["code"] == "method_not_allowed"
    async with site.client.get(f"/api/servers/{COLD}/warm") as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")


async def test_unexpected_exception_is_json_500(tmp_path: Path) -> None:
    broken = view(COLD, State.COLD, Reason.KEYS_MISSING)._replace(since=float("nan"))
    async with running_site(tmp_path, views=[broken]) as site:
        status, body = await site.get("/api/status")
        assert (status, body["error"]["code"]) == (500, "internal_error")
        assert (await site.get("/healthz"))[0] == 200


async def test_readyz_is_503_until_every_server_has_verdict(tmp_path: Path) -> None:
    unknown = view(COLD, State.UNKNOWN, Reason.DAEMON_STARTED)._replace(last_check=None)
    async with running_site(tmp_path, views=[unknown]) as site:
        assert (await site.get("/readyz"))[0] == 503
        assert (await site.get("/healthz"))[0] == 200
        site.snapshot.put(view(COLD, State.COLD, Reason.KEYS_MISSING))
        assert (await site.get("/readyz"))[0] == 200


@pytest.mark.parametrize("path", ["/status", "/api/status", f"/api/servers/{COLD}", "/api/events", "/metrics"])
async def test_head_request_has_no_body(site: Site, path: str) -> None:
    async with site.client.head(path) as response:
        assert response.status == 200
        assert await response.read() == b""


async def test_long_response_is_compressed_if_accepted(tmp_path: Path) -> None:
    views = [view(f"192.0.2.{number}:8188", State.LOADED, Reason.ALL_CACHED) for number in range(1, 251)]
    async with running_site(tmp_path, views=views) as site:
        async with site.client.get("/api/status", headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert (await response.json())["total"] == 250
        async with site.client.get("/api/status", headers={"Accept-Encoding": "identity"}) as response:
            assert "Content-Encoding" not in response.headers


@pytest.mark.parametrize("state", [State.DRAINING, State.RESTARTING])
async def test_server_that_is_restarted_is_neither_ready_nor_chosen(site: Site, state: State) -> None:
    site.snapshot.put(site.snapshot.get(LOADED)._replace(state=state))  # type: ignore[union-attr]
    assert (await site.get(f"/api/servers/{LOADED}/ready"))[0] == 503
    async with site.client.post("/api/route", json={"models": ["a"]}) as response:
        assert response.status == 503
