"""Rolling restarts over the API."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from statemachine.core.rollout import MemberStage, RunReason
from statemachine.core.vocabulary import Reason, State
from statemachine.settings.listen import ListenToken
from tests.web.site import COLD, LOADED, Site, running_site, view

START = "/api/groups/default/restart"


async def post(site: Site, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Return the status, and the run or the error's code."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    async with site.client.post(path, data=data, headers=headers) as response:
        answer = await response.json()
        return response.status, answer["error"]["code"] if "error" in answer else answer["rollout"]


async def test_run_is_null_before_the_first(site: Site) -> None:
    assert await site.get("/api/rollout") == (200, {"rollout": None, "groups": ["default"]})


async def test_start_without_a_body_restarts_one_server_at_a_time(site: Site) -> None:
    status, run = await post(site, START)
    assert status == 202
    assert (run["group"], run["state"], run["max_unavailable"], run["abort_after"]) == ("default", "running", 1, 1)
    assert [one["server"] for one in run["servers"]] == [LOADED, COLD]
    assert run["counts"] == {"waiting": 2, "restarting": 0, "done": 0, "failed": 0, "skipped": 0}
    assert (await site.get("/api/rollout"))[1]["rollout"] == run


async def test_waiting_server_says_what_it_waits_for(site: Site) -> None:
    site.snapshot.put(view("192.0.2.3:8188", State.PAUSED, Reason.PAUSE_REQUESTED))
    _, run = await post(site, START)
    reasons = {one["server"]: one["reason"] for one in run["servers"]}
    assert reasons == {
        LOADED: RunReason.LIMIT_REACHED,
        COLD: RunReason.LIMIT_REACHED,
        "192.0.2.3:8188": RunReason.SERVER_PAUSED,
    }
    assert {one["state"] for one in run["servers"]} == {"loaded", "cold", "paused"}


async def test_body_sets_the_limits(site: Site) -> None:
    _, run = await post(site, START, {"max_unavailable": 2, "abort_after": 3})
    assert (run["max_unavailable"], run["abort_after"]) == (2, 3)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        [],
        "2",
        {"max_unavailable": 0},
        {"max_unavailable": -1},
        {"max_unavailable": True},
        {"max_unavailable": "2"},
        {"max_unavailable": 1.5},
        {"max_unavailable": 10**9},
        {"abort_after": None},
        {"max": 2},
    ],
)
async def test_bad_body_is_refused_and_nothing_starts(site: Site, body: Any) -> None:
    assert await post(site, START, body) == (400, "invalid_rollout")
    assert await site.get("/api/rollout") == (200, {"rollout": None, "groups": ["default"]})


async def test_bad_body_names_the_key_and_the_range(site: Site) -> None:
    async with site.client.post(START, data=b'{"abort_after": 0}') as response:
        error = (await response.json())["error"]
    assert error["message"] == "abort_after: not a whole number from 1 to 100000"


async def test_second_start_is_a_conflict(site: Site) -> None:
    await post(site, START)
    assert await post(site, START) == (409, "rollout_open")


async def test_start_over_an_unknown_group_is_not_found(site: Site) -> None:
    assert await post(site, "/api/groups/nowhere/restart") == (404, "unknown_group")


async def test_start_without_a_hook_says_what_to_set(tmp_path: Path) -> None:
    async with running_site(tmp_path, hookless=[COLD]) as site, site.client.post(START) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (409, "no_restart_hook")
        assert COLD in error["message"]
        assert "restart.command" in error["message"]


async def test_actions_pause_resume_and_cancel_the_run(site: Site) -> None:
    await post(site, START)
    for action, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        status, run = await post(site, f"/api/rollout/{action}")
        assert (status, run["state"]) == (202, state)
    assert await post(site, "/api/rollout/pause") == (409, "rollout_over")


async def test_cancelled_run_says_how_many_servers_it_leaves_and_is_resumed(site: Site) -> None:
    assert (await post(site, START))[1]["left"] == 0
    assert (await post(site, "/api/rollout/cancel"))[1]["left"] == 2
    status, run = await post(site, "/api/rollout/resume")
    assert (status, run["state"], run["left"]) == (202, "running", 0)


async def test_action_on_another_run_than_the_seen_one_is_refused(site: Site) -> None:
    _, run = await post(site, START)
    assert await post(site, "/api/rollout/cancel", {"run": "earlier"}) == (409, "another_rollout")
    assert (await post(site, "/api/rollout/pause", {"run": run["id"]}))[1]["state"] == "paused"


@pytest.mark.parametrize("body", [b"{", [], {"run": 1}, {"id": "x"}])
async def test_action_with_a_bad_body_is_refused(site: Site, body: Any) -> None:
    await post(site, START)
    assert await post(site, "/api/rollout/cancel", body) == (400, "invalid_rollout")


async def test_limit_leaves_out_the_servers_that_matter_least(site: Site) -> None:
    await post(site, START)
    for limit, expected in ((1, [LOADED]), (2, [LOADED, COLD]), (100_000, [LOADED, COLD])):
        rollout = (await site.get(f"/api/rollout?limit={limit}"))[1]["rollout"]
        assert [one["server"] for one in rollout["servers"]] == expected
        assert rollout["counts"]["waiting"] == 2


@pytest.mark.parametrize("limit", ["", "0", "-1", "1.5", "x", "9" * 5000, "²"])
async def test_bad_limit_is_refused(site: Site, limit: str) -> None:
    status, answer = await site.get(f"/api/rollout?limit={limit}")
    assert (status, answer["error"]["code"]) == (400, "invalid_limit")


async def test_many_readers_cost_one_look_at_the_fleet_a_second(tmp_path: Path) -> None:
    class Counted(list[str]):
        looks = 0

        @override
        def __iter__(self) -> Iterator[str]:
            self.looks += 1
            return super().__iter__()

    hookless = Counted()
    async with running_site(tmp_path, hookless=hookless) as site:
        began, hookless.looks = asyncio.get_running_loop().time(), 0
        for _ in range(50):
            await site.get("/api/rollout?limit=60")
        assert 1 <= hookless.looks <= 2 + asyncio.get_running_loop().time() - began


@pytest.mark.parametrize("action", ["pause", "resume", "cancel"])
async def test_action_without_a_run_is_not_found(site: Site, action: str) -> None:
    assert await post(site, f"/api/rollout/{action}") == (404, "no_rollout")


@pytest.mark.parametrize("path", [START, "/api/rollout/pause", "/api/rollout/resume", "/api/rollout/cancel"])
async def test_client_that_may_not_act_is_refused(tmp_path: Path, path: str) -> None:
    tokens = {"eve": ListenToken(token="reads", may="read"), "ann": ListenToken(token="acts")}
    async with running_site(tmp_path, tokens=tokens) as site:
        assert await post(site, path) == (401, "token_required")
        assert await post(site, path, Authorization="Bearer reads") == (403, "token_may_not_act")
        assert await site.get("/api/rollout") == (200, {"rollout": None, "groups": ["default"]})
        _, run = await post(site, START, Authorization="Bearer acts")
        assert run["by"] == "ann"


async def test_changes_name_the_client(tmp_path: Path) -> None:
    async with running_site(tmp_path, tokens={"ann": ListenToken(token="acts")}) as site:
        await post(site, START, Authorization="Bearer acts")
        _, run = await post(site, "/api/rollout/pause", Authorization="Bearer acts")
        assert run["changed_by"] == "ann"


async def test_run_in_a_journal_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        await site.journal.close()
        status, answer = await site.get("/api/rollout")
        assert (status, answer["error"]["code"]) == (503, "rollouts_unavailable")


def test_stages_are_public_words() -> None:
    assert [one.value for one in MemberStage] == ["waiting", "restarting", "done", "failed", "skipped"]
