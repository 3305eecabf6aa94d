"""An operator's wish for a whole group reaches each of its servers, and no other."""

from pathlib import Path

import pytest

from statemachine.core.operator import Action
from statemachine.core.vocabulary import Reason, State
from tests.web.site import COLD, LOADED, Site, running_site, view

LAB = "farm α 1"


def add_lab(site: Site) -> list[str]:
    names = ["192.0.2.7:8188", "192.0.2.8:8188"]
    for name in names:
        site.snapshot.put(view(name, State.COLD, Reason.KEYS_MISSING)._replace(group=LAB))
    return names


@pytest.mark.parametrize("action", list(Action))
async def test_every_server_of_the_group_is_asked_and_no_other(site: Site, action: Action) -> None:
    names = add_lab(site)
    async with site.client.post(f"/api/groups/{LAB}/{action.value}") as response:
        assert response.status == 202
        assert await response.json() == {"group": LAB, "action": action.value, "servers": 2}
    assert site.operator.asked == [(name, action) for name in names]


async def test_a_group_that_no_server_has_is_404(site: Site) -> None:
    async with site.client.post("/api/groups/nobody/warm") as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "unknown_group"
    assert site.operator.asked == []


async def test_servers_that_have_just_left_are_not_counted(site: Site) -> None:
    site.operator.missing = frozenset({COLD})
    async with site.client.post("/api/groups/default/pause") as response:
        assert (await response.json())["servers"] == 1
    site.operator.missing = frozenset({COLD, LOADED})
    async with site.client.post("/api/groups/default/pause") as response:
        assert response.status == 404


@pytest.mark.parametrize(("token", "status"), [("wrong", 401), ("a-token-for-tests", 202)])
async def test_a_group_is_as_well_guarded_as_a_server(tmp_path: Path, token: str, status: int) -> None:
    async with running_site(tmp_path, token="a-token-for-tests") as site:
        headers = {"Authorization": f"Bearer {token}"}
        async with site.client.post("/api/groups/default/warm", headers=headers) as response:
            assert response.status == status
        async with site.client.post("/api/groups/default/warm", headers={"Origin": "http://192.0.2.66"}) as response:
            assert response.status in {401, 403}
        assert len(site.operator.asked) == (2 if status == 202 else 0)
