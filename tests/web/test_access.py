"""Who may act."""

from pathlib import Path

import pytest

from statemachine.core.operator import Action
from tests.web.site import COLD, Site, running_site

TOKEN = "s3cret"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


async def post(site: Site, action: str = "warm", server: str = COLD, **headers: str) -> tuple[int, str]:
    """Status, and the error's code or the action that was taken up."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with site.client.post(f"/api/servers/{server}/{action}", headers=named) as response:
        body = await response.json()
        return response.status, body["error"]["code"] if "error" in body else body["action"]


@pytest.mark.parametrize("action", list(Action))
async def test_without_a_token_loopback_may_act(site: Site, action: Action) -> None:
    assert await post(site, action.value) == (202, action.value)
    assert site.operator.asked == [(COLD, action)]


@pytest.mark.parametrize("header", ["X_Forwarded_For", "Forwarded", "X_Real_IP"])
async def test_without_a_token_a_proxy_on_loopback_may_not_act(site: Site, header: str) -> None:
    assert await post(site, **{header: "192.0.2.9"}) == (403, "loopback_only")
    assert site.operator.asked == []


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}],
)
async def test_where_a_token_is_set_nothing_else_will_do(tmp_path: Path, headers: dict[str, str]) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert await post(site, **headers) == (401, "token_required")
        assert site.operator.asked == []


async def test_the_token_opens_also_through_a_proxy(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert await post(site, **RIGHT, X_Forwarded_For="192.0.2.9") == (202, "warm")


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_page_of_another_site_is_refused(tmp_path: Path, origin: str) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert await post(site, **RIGHT, Origin=origin) == (403, "foreign_origin")
        assert site.operator.asked == []


async def test_the_own_page_may_act(site: Site) -> None:
    assert await post(site, Origin=str(site.client.make_url("/").origin())) == (202, "warm")


async def test_reading_needs_no_token(tmp_path: Path) -> None:
    async with running_site(tmp_path, token=TOKEN) as site:
        assert (await site.get("/api/status"))[0] == 200


async def test_a_server_that_the_operator_does_not_know_is_404(site: Site) -> None:
    assert await post(site, server="nobody:1") == (404, "unknown_server")
    site.operator.missing = frozenset({COLD})
    assert await post(site) == (404, "unknown_server")
