"""Actions on servers and groups: which clients may perform them, and which servers they reach."""

from pathlib import Path

import pytest

from statemachine.core.ports import Action
from statemachine.core.vocabulary import Reason, State
from tests.web.site import COLD, LOADED, Site, running_site, view

TOKEN = "s3cret"
LAB = "farm α 1"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


async def post(site: Site, action: str = "warm", server: str = COLD, **headers: str) -> tuple[int, str]:
    """Return the status, and the error code or the accepted action."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with site.client.post(f"/api/servers/{server}/{action}", headers=named) as response:
        body = await response.json()
        return response.status, body["error"]["code"] if "error" in body else body["action"]


@pytest.mark.parametrize("action", list(Action))
async def test_action_from_loopback_without_token_is_accepted(site: Site, action: Action) -> None:
    assert await post(site, action.value) == (202, action.value)
    assert site.operator.actions == [(COLD, action)]


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "X_Real_IP"])
async def test_action_through_proxy_without_token_is_refused(site: Site, header: str) -> None:
    assert await post(site, **{header: "192.0.2.9"}) == (403, "loopback_only")
    assert site.operator.actions == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}],
)
async def test_action_with_wrong_token_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert await post(site, **headers) == (401, "token_required")
        assert site.operator.actions == []


async def test_action_with_token_through_proxy_is_accepted(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert await post(site, **RIGHT, X_Forwarded_For="192.0.2.9") == (202, "warm")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
async def test_action_from_foreign_page_is_refused(tmp_path: Path, origin: str) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert await post(site, **RIGHT, Origin=origin) == (403, "foreign_origin")
        assert site.operator.actions == []


async def test_action_from_own_page_is_accepted(site: Site) -> None:
    assert await post(site, Origin=str(site.client.make_url("/").origin())) == (202, "warm")


async def test_status_without_token_is_served(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert (await site.get("/api/status"))[0] == 200


async def test_action_on_unknown_server_is_404(site: Site) -> None:
    assert await post(site, server="unknown:1") == (404, "unknown_server")
    site.operator.missing = frozenset({COLD})
    assert await post(site) == (404, "unknown_server")


def add_lab(site: Site) -> list[str]:
    names = ["192.0.2.7:8188", "192.0.2.8:8188"]
    for name in names:
        site.snapshot.put(view(name, State.COLD, Reason.KEYS_MISSING)._replace(group=LAB))
    return names


@pytest.mark.parametrize("action", list(Action))
async def test_group_action_reaches_exactly_its_servers(site: Site, action: Action) -> None:
    names = add_lab(site)
    async with site.client.post(f"/api/groups/{LAB}/{action.value}") as response:
        assert response.status == 202
        assert await response.json() == {"group": LAB, "action": action.value, "servers": 2}
    assert site.operator.actions == [(name, action) for name in names]


async def test_group_action_on_unknown_group_is_404(site: Site) -> None:
    async with site.client.post("/api/groups/unknown/warm") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "unknown_group"
    assert site.operator.actions == []


async def test_group_action_does_not_count_removed_servers(site: Site) -> None:
    site.operator.missing = frozenset({COLD})
    async with site.client.post("/api/groups/default/pause") as response:
        assert (await response.json())["servers"] == 1
    site.operator.missing = frozenset({COLD, LOADED})
    async with site.client.post("/api/groups/default/pause") as response:
        assert response.status == 404


@pytest.mark.parametrize(("token", "status"), [("wrong", 401), (TOKEN, 202)])
async def test_group_action_needs_token_and_own_origin(tmp_path: Path, token: str, status: int) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        headers = {"Authorization": f"Bearer {token}"}
        async with site.client.post("/api/groups/default/warm", headers=headers) as response:
            assert response.status == status
        async with site.client.post("/api/groups/default/warm", headers={"Origin": "http://192.0.2.66"}) as response:
            assert response.status in {401, 403}
        assert len(site.operator.actions) == (2 if status == 202 else 0)
