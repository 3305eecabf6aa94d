"""Prompts that wait on a server whose worker has died: they go to another server, and none runs twice."""

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.gateway.rig import FakeDaemon, Json, Site, image_graph, listening, running_servers, running_site, start_site
from tests.support.polling import wait_until

STUCK: Json = {"restart": {"cause": "queue_stuck", "stage": "draining"}}


async def post_to_first(site: Site, count: int, **more: object) -> list[str]:
    """Post prompts while only the first server is usable."""
    site.daemon.publish(site.names[1], "paused")
    await wait_until(lambda: [one.state for one in site.gateway.view][1] == "paused")
    ids = [(await site.post(image_graph(str(index), 0.1), **more))["prompt_id"] for index in range(count)]
    assert site.servers[0].posted == ids
    return ids


def ran(site: Site) -> list[str]:
    """Return the prompts in the histories of all servers."""
    return [prompt_id for server in site.servers for prompt_id in server.process.queue.history]


async def ends(site: Site, ids: list[str]) -> list[str]:
    entries = [await site.wait_entry(one) for one in ids]
    return [entry["status"]["status_str"] for entry in entries]


async def test_waiting_prompts_of_a_stuck_server_run_once_elsewhere(tmp_path: Path) -> None:
    """The prompt that runs when the worker dies has begun, and is not sent again."""
    async with running_site(tmp_path) as site, listening(site) as client:
        site.servers[0].stall()
        began, *waiting = await post_to_first(site, 4, client_id=client.client_id)
        await wait_until(lambda: site.servers[0].process.queue.running)
        site.servers[0].lose_worker()
        site.daemon.publish(site.names[1], "loaded")
        site.daemon.publish(site.names[0], "draining", **STUCK)
        assert await ends(site, waiting) == ["success"] * 3
        await client.until_end(waiting[-1])
        await site.servers[0].restart()
        assert await ends(site, [began]) == ["error"]
        assert sorted(ran(site)) == sorted(waiting)
        assert sorted(site.servers[1].posted) == sorted(waiting)


async def test_prompts_of_the_only_server_run_after_its_restart(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        site.servers[0].lose_worker()
        ids = [(await site.post(image_graph(str(index))))["prompt_id"] for index in range(2)]
        site.daemon.publish(site.names[0], "draining", **STUCK)
        looked_up = {f"/history/{prompt_id}" for prompt_id in ids}
        await wait_until(lambda: looked_up <= {path for _, path in site.servers[0].requests})
        assert (await site.get("/prompt"))["exec_info"]["queue_remaining"] == 2
        await site.servers[0].restart()
        site.daemon.publish(site.names[0], "cold")
        assert await ends(site, ids) == ["success"] * 2
        assert sorted(ran(site)) == sorted(ids)


async def test_prompt_taken_back_when_the_gateway_ends_gets_an_error(tmp_path: Path) -> None:
    """It was taken back and not posted again: its client gets an error, and nothing runs twice."""
    async with running_servers(1) as (servers, names):
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        async with AsyncExitStack() as stack:
            site = await start_site(stack, tmp_path, servers, names, daemon)
            servers[0].lose_worker()
            prompt_id = (await site.post(image_graph()))["prompt_id"]
            daemon.publish(names[0], "draining", **STUCK)
            await wait_until(lambda: not servers[0].process.queue.remaining)
        daemon.publish(names[0], "loaded")
        async with AsyncExitStack() as stack:
            site = await start_site(stack, tmp_path, servers, names, daemon)
            assert await ends(site, [prompt_id]) == ["error"]
    assert servers[0].posted == [prompt_id]


async def test_prompt_whose_history_is_not_answered_is_not_moved(tmp_path: Path) -> None:
    """The others are moved all the same."""
    async with running_site(tmp_path) as site:
        site.servers[0].lose_worker()
        doubtful, moved = await post_to_first(site, 2)
        site.servers[0].cut_history = doubtful
        site.daemon.publish(site.names[1], "loaded")
        site.daemon.publish(site.names[0], "draining", **STUCK)
        assert await ends(site, [moved]) == ["success"]
        site.servers[0].cut_history = ""
        assert await ends(site, [doubtful]) == ["error"]
        assert site.servers[1].posted == [moved]


async def test_another_gateway_follows_a_prompt_that_was_moved(tmp_path: Path) -> None:
    """It was asked for the prompt before, and does not report it lost."""
    async with running_servers(2) as (servers, names), AsyncExitStack() as stack:
        daemon = FakeDaemon({names[0]: "loaded", names[1]: "paused"})
        one = await start_site(stack, tmp_path / "one", servers, names, daemon)
        two = await start_site(stack, tmp_path / "two", servers, names, FakeDaemon(dict(daemon.states or {})))
        servers[0].lose_worker()
        prompt_id = (await one.post(image_graph()))["prompt_id"]
        assert await two.get(f"/history/{prompt_id}") == {}
        daemon.publish(names[1], "loaded")
        daemon.publish(names[0], "draining", **STUCK)
        assert [await ends(site, [prompt_id]) for site in (one, two)] == [["success"]] * 2
    assert servers[1].posted == [prompt_id]


async def test_prompt_that_others_refuse_waits_for_its_own_server(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        site.servers[0].lose_worker()
        [prompt_id] = await post_to_first(site, 1)
        site.servers[1].profile = replace(site.servers[1].profile, missing_classes=frozenset({"RigSlowModel"}))
        await site.servers[1].restart()
        site.daemon.publish(site.names[1], "loaded")
        site.daemon.publish(site.names[0], "draining", **STUCK)
        await wait_until(lambda: len(site.servers[1].log) == 1)
        await site.servers[0].restart()
        site.daemon.publish(site.names[0], "cold")
        assert await ends(site, [prompt_id]) == ["success"]
        assert site.servers[0].posted == [prompt_id, prompt_id]


async def test_client_deletes_a_prompt_that_is_on_its_way_to_another_server(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        site.servers[0].lose_worker()
        prompt_id = (await site.post(image_graph()))["prompt_id"]
        site.daemon.publish(site.names[0], "draining", **STUCK)
        await wait_until(lambda: not site.servers[0].process.queue.remaining)
        await site.session.post(f"{site.url}/queue", json={"delete": [prompt_id]})
        await wait_until(lambda: not site.gateway.ledger.open_of(""))
        site.daemon.publish(site.names[0], "loaded")
        assert site.servers[0].posted == [prompt_id]


@pytest.mark.parametrize("drained", [{"restart": {"cause": "operator", "stage": "draining"}}, {"restart": None}])
async def test_prompts_of_a_server_that_drains_finish_there(tmp_path: Path, drained: Json) -> None:
    async with running_site(tmp_path) as site:
        ids = await post_to_first(site, 3)
        site.daemon.publish(site.names[1], "loaded")
        site.daemon.publish(site.names[0], "draining", **drained)
        assert await ends(site, ids) == ["success"] * 3
        assert site.servers[1].posted == []


async def test_prompts_of_a_server_at_its_restart_limit_go_elsewhere(tmp_path: Path) -> None:
    """It is not restarted again, and gets no new prompts either."""
    async with running_site(tmp_path) as site:
        site.servers[0].lose_worker()
        ids = await post_to_first(site, 40)
        site.daemon.publish(site.names[0], "failed", reason="restart_limit")
        await wait_until(lambda: next(iter(site.gateway.view)).is_stuck)
        assert site.servers[0].process.queue.remaining == 40
        site.daemon.publish(site.names[1], "cold")
        ids.append((await site.post(image_graph("last")))["prompt_id"])
        assert await ends(site, ids) == ["success"] * 41
        assert sorted(site.servers[1].posted) == sorted(ids)


async def test_prompt_that_was_taken_by_a_live_worker_is_not_moved(tmp_path: Path) -> None:
    """The diagnosis was wrong: what has begun, or has ended, meanwhile stays where it is."""
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(running_site(tmp_path))
        ids = await post_to_first(site, 5)
        site.daemon.publish(site.names[1], "loaded")
        site.daemon.publish(site.names[0], "draining", **STUCK)
        assert await ends(site, ids) == ["success"] * 5
        assert sorted(ran(site)) == sorted(ids)
