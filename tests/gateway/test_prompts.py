"""Prompts through the gateway: where they run, their frames, their results."""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.gateway.rig import image_graph, listening, running_site
from tests.support.polling import wait_for

KINDS = ["execution_start", "execution_cached", "executing", "executed", "execution_success"]


async def test_post_prompt_runs_once_and_its_frames_reach_the_client(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site, listening(site) as client:
        prompt_id = str(uuid4())
        answer = await site.post(image_graph(), client_id=client.client_id, prompt_id=prompt_id)
        kinds = await client.until_end(prompt_id)
        entry = await site.wait_entry(prompt_id)
        posted = [one for server in site.servers for one in server.posted]
    assert (answer["prompt_id"], answer["node_errors"], posted) == (prompt_id, {}, [prompt_id])
    assert [one for one in dict.fromkeys(kinds) if one in KINDS] == KINDS
    assert kinds[-2:] == ["status", "executing"]
    assert client.frames[0]["data"] == {"status": {"exec_info": {"queue_remaining": 0}}, "sid": client.client_id}
    assert entry["status"]["status_str"] == "success"
    assert entry["prompt"][3].keys() >= {"client_id"}
    assert entry["prompt"][3]["client_id"] == client.client_id


async def test_post_prompt_without_id_mints_one(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        first, second = [await site.post(image_graph(name)) for name in "ab"]
        await site.wait_entry(first["prompt_id"])
        await site.wait_entry(second["prompt_id"])
    assert first["prompt_id"] != second["prompt_id"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"prompt": {}, "prompt_id": "None"}, "invalid_prompt_id"),
        ({"prompt": {}, "prompt_id": str(uuid4()).upper()}, "invalid_prompt_id"),
        ({"prompt": []}, "no_prompt"),
        ({"graph": {}}, "no_prompt"),
    ],
)
async def test_post_prompt_not_understood_is_refused(tmp_path: Path, body: dict[str, object], code: str) -> None:
    async with running_site(tmp_path) as site:
        async with site.session.post(f"{site.url}/api/prompt", json=body) as response:
            answer = await response.json()
            assert (response.status, answer["error"]["type"]) == (400, code)
        assert [server.posted for server in site.servers] == [[], []]


async def test_refusal_of_servers_is_passed_through(tmp_path: Path) -> None:
    graph = {"1": {"class_type": "NoSuchClass", "inputs": {}}}
    async with running_site(tmp_path) as site:
        status, answer = await site.try_post(graph)
        queue = await site.get("/queue")
    assert (status, answer["error"]["type"]) == (400, "invalid_prompt")
    assert queue == {"queue_running": [], "queue_pending": []}


async def test_node_errors_of_accepted_prompt_are_passed_through(tmp_path: Path) -> None:
    graph = image_graph()
    graph["3"] = {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}}
    async with running_site(tmp_path) as site:
        answer = await site.post(graph)
        await site.wait_entry(answer["prompt_id"])
    assert list(answer["node_errors"]) == ["3"]


async def test_same_prompt_posted_twice_runs_once(tmp_path: Path) -> None:
    prompt_id = str(uuid4())
    async with running_site(tmp_path) as site:
        first = await site.post(image_graph(), prompt_id=prompt_id)
        again = await site.post(image_graph(), prompt_id=prompt_id)
        status, other = await site.try_post(image_graph("other"), prompt_id=prompt_id)
        posted = [one for server in site.servers for one in server.posted]
    assert (first["prompt_id"], again["prompt_id"], posted) == (prompt_id, prompt_id, [prompt_id])
    assert (status, other["error"]["type"]) == (400, "invalid_prompt_id")


async def test_prompts_go_to_warm_servers_and_shortest_queues(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=3) as site:
        assert site.daemon.states is not None
        site.daemon.states[site.names[0]] = "cold"
        site.daemon.changed.set()
        await wait_for(site.connected)
        answers = [await site.post(image_graph(str(index), 0.3)) for index in range(4)]
        counts = [len(server.posted) for server in site.servers]
        for answer in answers:
            await site.wait_entry(answer["prompt_id"])
    assert counts == [0, 2, 2]


async def test_frame_of_any_size_reaches_the_client(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site, listening(site) as client:
        prompt_id = (await site.post(image_graph(seconds=0.3), client_id=client.client_id))["prompt_id"]
        await client.until("progress", prompt_id)
        for size in (5_000, 300_000):
            text = {"prompt_id": prompt_id, "text": "x" * size}
            site.servers[0].send("progress_text", text, site.gateway.ledger.link_id)
        await client.until_end(prompt_id)
    assert [len(one["data"]["text"]) for one in client.frames if one["type"] == "progress_text"] == [5_000, 300_000]


async def test_status_counts_own_prompts_of_each_client(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site, listening(site) as busy, listening(site) as other:
        ids = [(await site.post(image_graph(name, 0.1), client_id=busy.client_id))["prompt_id"] for name in "abc"]
        own = (await site.post(image_graph("d", 0.0), client_id=other.client_id))["prompt_id"]
        await other.until_end(own)
        for prompt_id in ids:
            await busy.until_end(prompt_id)
    counts = [one["data"]["status"]["exec_info"]["queue_remaining"] for one in busy.frames if one["type"] == "status"]
    assert counts == [0, 1, 2, 3, 2, 1, 0]
    assert (other.prompts, busy.prompts) == ({own}, set(ids))


async def test_equal_file_names_on_two_servers_are_kept_apart(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        ids = [(await site.post(image_graph(name, 0.1)))["prompt_id"] for name in "ab"]
        contents, names = [], []
        for prompt_id in ids:
            image = (await site.wait_entry(prompt_id))["outputs"]["2"]["images"][0]
            names.append(image["filename"])
            async with site.session.get(f"{site.url}/view", params=image) as response:
                contents.append((response.status, await response.text()))
    assert [len(server.posted) for server in site.servers] == [1, 1]
    assert names[0] == names[1]
    assert contents == [(200, prompt_id) for prompt_id in ids]


async def test_any_server_answers_what_all_have(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        every = await site.get("/object_info")
        one = await site.get("/api/object_info/SaveImage")
        stats, features = await site.get("/system_stats"), await site.get("/features")
    assert one["SaveImage"] == every["SaveImage"]
    assert (stats["system"]["comfyui_version"], features["supports_preview_metadata"]) == ("0.3.75", True)


async def test_head_of_a_file_is_answered_without_its_content(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site:
        prompt_id = (await site.post(image_graph()))["prompt_id"]
        image = (await site.wait_entry(prompt_id))["outputs"]["2"]["images"][0]
        async with site.session.head(f"{site.url}/api/view", params=image) as response:
            headers = response.headers
        requests = [one for one in site.servers[0].requests if one[1] == "/view"]
    assert (response.status, headers["Content-Type"], requests) == (200, "image/png", [("HEAD", "/view")])


async def test_interrupt_and_delete_stop_own_prompts(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site, listening(site) as client:
        ids = [(await site.post(image_graph(name, 5.0), client_id=client.client_id))["prompt_id"] for name in "ab"]
        await client.until("progress", ids[0])
        queue = await site.get("/queue")
        await site.session.post(f"{site.url}/queue", json={"delete": [ids[1]]})
        await site.session.post(f"{site.url}/interrupt", json={"prompt_id": ids[0]})
        kinds = await client.until_end(ids[0])
        remaining = await site.get("/prompt")
        entry = await site.wait_entry(ids[0])
        deleted = await site.get(f"/history/{ids[1]}")
    assert [item[1] for part in ("queue_running", "queue_pending") for item in queue[part]] == ids
    assert "execution_interrupted" in kinds
    assert remaining == {"exec_info": {"queue_remaining": 0}}
    assert (entry["status"]["status_str"], deleted) == ("error", {})


@pytest.mark.parametrize(
    ("path", "body"),
    [("/free", {"unload_models": True}), ("/queue", {"clear": True}), ("/api/history", {"clear": True})],
)
async def test_what_affects_others_is_refused(tmp_path: Path, path: str, body: dict[str, bool]) -> None:
    async with running_site(tmp_path, count=1) as site:
        async with site.session.post(site.url + path, json=body) as response:
            answer = await response.json()
        assert ("POST", path.removeprefix("/api")) not in site.servers[0].requests
    assert (response.status, answer["error"]["type"]) == (403, "not_allowed")


async def test_history_lists_and_forgets_own_prompts(tmp_path: Path) -> None:
    async with running_site(tmp_path) as site:
        ids = [(await site.post(image_graph(name)))["prompt_id"] for name in "abc"]
        for prompt_id in ids:
            await site.wait_entry(prompt_id)
        whole, newest = await site.get("/history"), await site.get("/history?max_items=1")
        await site.session.post(f"{site.url}/history", json={"delete": [ids[0]]})
        left = await site.get("/history")
    assert (list(whole), list(newest), list(left)) == (ids, ids[2:], ids[1:])


async def test_running_prompt_that_is_deleted_or_cancelled_still_ends(tmp_path: Path) -> None:
    async with running_site(tmp_path, count=1) as site, listening(site) as client:
        first = (await site.post(image_graph("a", 0.3), client_id=client.client_id))["prompt_id"]
        await client.until("progress", first)
        await site.session.post(f"{site.url}/queue", json={"delete": [first]})
        kinds = await client.until_end(first)
        second = (await site.post(image_graph("b", 9.0), client_id=client.client_id))["prompt_id"]
        await client.until("progress", second)
        response = await site.session.post(f"{site.url}/api/jobs/{second}/cancel")
        cancelled = await response.json()
        await client.until_end(second)
    assert (kinds[-1], cancelled) == ("executing", {"cancelled": True})
