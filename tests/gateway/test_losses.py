"""Servers and connections that are lost: no prompt runs twice, and none is lost without an error to its client."""

from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

from tests.gateway.rig import FakeDaemon, image_graph, listening, running_servers, running_site, start_site
from tests.support.polling import wait_until


async def test_server_away_before_the_post_leaves_prompt_to_another(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        await site.servers[0].go_down()
        ids = [(await site.post(image_graph(str(index))))["prompt_id"] for index in range(4)]
        assert site.servers[1].posted == ids


async def test_prompt_without_any_server_is_refused(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        for server in site.servers:
            await server.go_down()
        status, answer = await site.try_post(image_graph())
        queue = await site.get("/queue")
    assert (status, answer["error"]["type"], queue["queue_pending"]) == (503, "no_server", [])


async def test_post_that_was_handled_without_answer_is_found(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site, listening(site) as client:
        for server in site.servers:
            server.cut_after = True
        answer = await site.post(image_graph(seconds=0.2), client_id=client.client_id)
        await client.until_end(answer["prompt_id"])
        posted = [one for server in site.servers for one in server.posted]
    assert posted == [answer["prompt_id"]]


async def test_post_that_was_not_handled_ends_with_error(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site, listening(site) as client:
        for server in site.servers:
            server.cut_before = True
        status, answer = await site.try_post(image_graph(), client_id=client.client_id)
        history = await site.get("/history")
        [prompt_id] = history
        kinds = await client.until_end(prompt_id)
        posted = [one for server in site.servers for one in server.posted]
    assert (status, answer["error"]["type"], posted) == (502, "prompt_lost", [])
    assert history[prompt_id]["status"]["messages"][0][0] == "execution_error"
    assert kinds[-3:] == ["execution_error", "status", "executing"]


async def test_prompts_of_a_restarted_server_end_with_errors(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site, listening(site) as client:
        ids = [(await site.post(image_graph(name, 9.0), client_id=client.client_id))["prompt_id"] for name in "ab"]
        await site.servers[0].restart()
        for prompt_id in ids:
            await client.until_end(prompt_id)
        entries = [await site.wait_entry(prompt_id) for prompt_id in ids]
        posted = site.servers[0].posted
    assert [entry["status"]["status_str"] for entry in entries] == ["error", "error"]
    assert posted == ids


async def test_result_stays_in_the_history_after_a_restart_of_the_server(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        prompt_id = (await site.post(image_graph(), client_id="c"))["prompt_id"]
        before = await site.wait_entry(prompt_id)
        await site.servers[0].restart()
        after = await site.wait_entry(prompt_id)
        await site.servers[0].go_down()
        without_server = await site.wait_entry(prompt_id)
    assert after == without_server
    assert (after["outputs"], after["status"]["status_str"]) == (before["outputs"], "success")


async def test_frames_missed_while_the_connection_was_lost_are_sent(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site, listening(site) as client:
        prompt_id = (await site.post(image_graph(seconds=0.3), client_id=client.client_id))["prompt_id"]
        await client.until("progress", prompt_id)
        site.servers[0].sockets.clear()  # deaf, as after the close of an older connection with the same id
        kinds = await client.until_end(prompt_id)
        await wait_until(lambda: site.servers[0].sockets)
    executed = next(one for one in client.frames if one["type"] == "executed")
    assert executed["data"]["output"]["images"][0]["subfolder"] == prompt_id
    assert kinds[-4:] == ["executed", "execution_success", "status", "executing"]


async def test_restarted_gateway_knows_its_prompts(tmp_path: Path) -> None:
    async with running_servers(1) as (servers, names):
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        async with AsyncExitStack() as stack:
            site = await start_site(stack, tmp_path, servers, names, daemon)
            running = (await site.post(image_graph("a", 0.5), client_id="c"))["prompt_id"]
            waiting = (await site.post(image_graph("b", 0.1), client_id="c"))["prompt_id"]
        async with AsyncExitStack() as stack:
            site = await start_site(stack, tmp_path, servers, names, daemon)
            client = await stack.enter_async_context(listening(site, "c"))
            await client.until_end(running)
            kinds = await client.until_end(waiting)
            entries = [await site.wait_entry(one) for one in (running, waiting)]
    assert client.frames[0]["data"]["status"]["exec_info"]["queue_remaining"] == 2
    assert "progress" in kinds
    assert [entry["status"]["status_str"] for entry in entries] == ["success", "success"]
    assert servers[0].posted == [running, waiting]


async def test_prompts_that_ended_without_the_gateway_end_at_once(tmp_path: Path) -> None:
    async with running_servers(1) as (servers, names):
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        async with AsyncExitStack() as stack:
            site = await start_site(stack, tmp_path, servers, names, daemon)
            ids = [(await site.post(image_graph(str(number), 0.05)))["prompt_id"] for number in range(20)]
        await wait_until(lambda: not servers[0].process.queue.remaining)
        async with AsyncExitStack() as stack:
            site = await start_site(stack, tmp_path, servers, names, daemon)
            await wait_until(lambda: not site.gateway.ledger.open_of(""))
            entries = [await site.wait_entry(one) for one in ids]
    assert {entry["status"]["status_str"] for entry in entries} == {"success"}
    assert servers[0].connections == 2


async def test_prompts_of_a_server_taken_from_the_settings_end_with_errors(tmp_path: Path) -> None:
    async with running_servers(2) as (servers, names):
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        async with AsyncExitStack() as stack:
            site = await start_site(stack, tmp_path, servers[:1], names[:1], daemon)
            prompt_id = (await site.post(image_graph("a", 9.0)))["prompt_id"]
        async with AsyncExitStack() as stack:
            site = await start_site(stack, tmp_path, servers[1:], names[1:], daemon)
            entry = await site.wait_entry(prompt_id)
    assert "no longer in the settings" in entry["status"]["messages"][0][1]["exception_message"]


async def test_post_repeated_through_another_gateway_runs_once(tmp_path: Path) -> None:
    prompt_id = str(uuid4())
    async with running_servers(2) as (servers, names), AsyncExitStack() as stack:
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        one = await start_site(stack, tmp_path / "one", servers, names, daemon)
        two = await start_site(stack, tmp_path / "two", servers, names, daemon)
        answers = [await site.post(image_graph("a", 0.3), prompt_id=prompt_id) for site in (one, two)]
        await two.wait_entry(prompt_id)
        answers.append(await two.post(image_graph("a", 0.3), prompt_id=prompt_id))
        posted = [one for server in servers for one in server.posted]
    assert ({answer["prompt_id"] for answer in answers}, posted) == ({prompt_id}, [prompt_id])


async def test_prompt_that_ends_while_another_gateway_looks_runs_once(tmp_path: Path) -> None:
    prompt_id = str(uuid4())
    async with running_servers(1) as (servers, names), AsyncExitStack() as stack:
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        one = await start_site(stack, tmp_path / "one", servers, names, daemon)
        two = await start_site(stack, tmp_path / "two", servers, names, daemon)
        await one.post(image_graph("a", 1.5), prompt_id=prompt_id)
        servers[0].answers_once_idle = True
        await two.post(image_graph("a", 1.5), prompt_id=prompt_id)
    assert servers[0].posted == [prompt_id]


async def test_gateway_without_daemon_goes_on_with_last_knowledge(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        assert site.daemon.states is not None
        site.daemon.states[site.names[0]] = "paused"
        site.daemon.changed.set()
        await wait_until(lambda: next(iter(site.gateway.view)).state == "paused")
        site.daemon.states = None
        site.daemon.changed.set()
        ids = [(await site.post(image_graph(str(index))))["prompt_id"] for index in range(3)]
        assert site.servers[1].posted == ids


async def test_client_that_comes_to_another_gateway_learns_the_end(tmp_path: Path) -> None:
    async with running_servers(2) as (servers, names), AsyncExitStack() as stack:
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        two = await start_site(stack, tmp_path / "two", servers, names, daemon)
        async with AsyncExitStack() as first:
            one = await start_site(first, tmp_path / "one", servers, names, daemon)
            prompt_id = (await one.post(image_graph("a", 0.5), client_id="c"))["prompt_id"]
        client = await stack.enter_async_context(listening(two, "c"))
        kinds = await client.until_end(prompt_id)
    assert kinds == ["status", "status", "executed", "execution_success", "status", "executing"]


async def test_second_gateway_finds_prompts_of_the_first(tmp_path: Path) -> None:
    async with running_servers(2) as (servers, names), AsyncExitStack() as stack:
        daemon = FakeDaemon(dict.fromkeys(names, "loaded"))
        one = await start_site(stack, tmp_path / "one", servers, names, daemon)
        two = await start_site(stack, tmp_path / "two", servers, names, daemon)
        ended = (await one.post(image_graph("a")))["prompt_id"]
        await one.wait_entry(ended)
        image = (await two.wait_entry(ended))["outputs"]["2"]["images"][0]
        async with two.session.get(f"{two.url}/view", params=image) as response:
            content = await response.text()
        running = (await one.post(image_graph("b", 9.0)))["prompt_id"]
        await two.session.post(f"{two.url}/interrupt", json={"prompt_id": running})
        entry = await two.wait_entry(running)
    assert content == ended
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
