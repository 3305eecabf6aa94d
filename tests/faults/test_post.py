"""POST /prompt goes wrong: it is never repeated before the first one's fate is proved, and no answer is misread."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.faults.bends import cuts, hangs, processed_then, says, times
from tests.faults.front import MARKER, Bend, Exchange
from tests.faults.scene import Json, Scene, faulty
from tests.faults.table import Row

POST = "POST /prompt"
JSON = "application/json"
UI_FORMAT = "500 Internal Server Error\n\nServer got itself in trouble"

NOTHING_QUEUED: dict[str, Bend] = {
    "empty-200": says(b"", 200, "application/octet-stream"),
    "no-prompt-id": says("{}", content_type=JSON),
    "null-prompt-id": says('{"prompt_id": null, "number": 1, "node_errors": {}}', content_type=JSON),
    "number-prompt-id": says('{"prompt_id": 17, "number": 1, "node_errors": {}}', content_type=JSON),
    "turned-into-a-get": says('{"exec_info": {"queue_remaining": 0}}', content_type=JSON),
    "html-200": says("<html><title>Sign in</title></html>", content_type="text/html"),
    "error-500": says(UI_FORMAT, 500),
    "absent-404": says(b"", 404),
    "not-allowed-405": says("405: Method Not Allowed", 405),
    "redirect-301": says(b"", 301, Location="https://192.0.2.1/prompt"),
    "redirect-302": says(b"", 302, Location="https://192.0.2.1/prompt"),
    "redirect-307": says(b"", 307, Location="https://192.0.2.1/prompt"),
    "status-401": says('{"error": "Authentication required."}', 401, JSON),
    "redirect-to-login": says(b"", 302, Location="/login"),
    "too-large-413": says("Maximum request body size exceeded", 413),
    "bare-400": says("Bad Request", 400),
}
NEVER_ARRIVED: dict[str, Bend] = {"timeout": hangs, "reset": cuts, "proxy-502": says("Bad Gateway", 502)}
ANSWER_LOST: dict[str, Bend] = {
    "timeout": hangs,
    "reset": cuts,
    "proxy-504": says("Gateway Time-out", 504),
    "error-500": says(UI_FORMAT, 500),
    "empty-200": says(b""),
    "null-prompt-id": says('{"prompt_id": null, "number": 1, "node_errors": {}}', content_type=JSON),
    "html-200": says("<html></html>", content_type="text/html"),
}
QUICK_TIMEOUT = {"http_timeout_s": 0.5}


async def warmed(scene: Scene, expected: Row) -> Json:
    """Once the operator reads what the page promises, and the server is loaded."""
    await scene.until_read(expected)
    return await scene.until_state("loaded")


@pytest.mark.parametrize("bend", NOTHING_QUEUED.values(), ids=NOTHING_QUEUED)
async def test_answered_and_not_queued(tmp_path: Path, expected: Row, bend: Bend) -> None:
    async with faulty(tmp_path, bends={POST: bend}) as (scene, front):
        await scene.until_read(expected)
        detail = await scene.until_state("failed")
        assert detail["cache_loaded"] is False
        assert len(front.posts) == 1


@pytest.mark.parametrize("bend", NEVER_ARRIVED.values(), ids=NEVER_ARRIVED)
async def test_it_never_arrived(tmp_path: Path, expected: Row, bend: Bend) -> None:
    """Proved absent, so another attempt is made, under another id."""
    async with faulty(tmp_path, bends={POST: times(1, bend)}, timing=QUICK_TIMEOUT) as (scene, front):
        await warmed(scene, expected)
        assert len(front.posts) == 2
        assert front.ended == front.prompt_ids[1:]


@pytest.mark.parametrize("bend", ANSWER_LOST.values(), ids=ANSWER_LOST)
async def test_queued_and_the_answer_lost(tmp_path: Path, expected: Row, bend: Bend) -> None:
    bends = {POST: processed_then(bend)}
    async with faulty(tmp_path, bends=bends, timing=QUICK_TIMEOUT, scale=0.05) as (scene, front):
        await warmed(scene, expected)
        assert len(front.posts) == 1
        assert front.ended == front.prompt_ids


async def test_arrives_after_its_sender_gave_up(tmp_path: Path, expected: Row) -> None:
    """A proxy delivers the POST late, but within the grace period."""

    async def late(exchange: Exchange) -> web.StreamResponse:
        asyncio.get_running_loop().call_later(
            1.0, lambda: deliveries.append(asyncio.ensure_future(exchange.faithful()))
        )
        return await exchange.never()

    deliveries: list[asyncio.Future[web.Response]] = []
    timing = {"http_timeout_s": 0.4, "lost_grace_s": 3}
    async with faulty(tmp_path, bends={POST: late}, timing=timing) as (scene, front):
        await warmed(scene, expected)
        assert len(front.posts) == len(deliveries) == 1


async def test_answer_after_success(tmp_path: Path, expected: Row) -> None:
    """The success frame overtakes the answer."""

    async def slow(exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.faithful()
        while not exchange.front.ended:  # noqa: ASYNC110 - bounded by the client's patience
            await asyncio.sleep(0.02)
        return answer

    async with faulty(tmp_path, bends={POST: slow}) as (scene, front):
        await warmed(scene, expected)
        assert len(front.posts) == 1
        assert ("warming", "prompt_accepted") in await scene.path()


async def without_its_id(exchange: Exchange) -> web.Response:
    """A server from before mid-2025 makes ids of its own."""
    body = json.loads(exchange.body)
    del body["prompt_id"]
    return await exchange.faithful(json.dumps(body).encode())


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "answer-lost"])
async def test_older_server_gives_its_own_id(tmp_path: Path, expected: Row, answered: bool) -> None:
    async def older(exchange: Exchange) -> web.StreamResponse:
        answer = await without_its_id(exchange)
        return answer if answered else await exchange.never()

    async with faulty(tmp_path, bends={POST: older}, timing=QUICK_TIMEOUT, scale=0.05) as (scene, front):
        await warmed(scene, expected)
        assert len(front.posts) == 1
        assert len(front.ended) == 1
        assert front.ended != front.prompt_ids


async def test_part_of_it_dropped(tmp_path: Path, expected: Row) -> None:
    """200 and a prompt_id, and node_errors: the rest runs, and its success proves nothing."""

    async def partial(exchange: Exchange) -> web.StreamResponse:
        answer = json.loads((await exchange.faithful()).body)  # type: ignore[arg-type]
        errors = [{"type": "value_not_in_list", "message": "Value not in list", "details": "pulid_file: 'x' not in []"}]
        answer["node_errors"] = {
            "5": {"errors": errors, "dependent_outputs": ["6"], "class_type": "PulidFluxModelLoader"}
        }
        return web.json_response(answer)

    async with faulty(tmp_path, bends={POST: partial}, scale=0.1) as (scene, front):
        await scene.until_read(expected)
        await scene.until(lambda _: front.ended)
        assert len(front.posts) == 1


async def test_refused_by_validation(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "refusing") as (scene, front):
        await scene.until_read(expected)
        assert len(front.posts) == 1


async def test_records_unreadable_while_in_doubt(tmp_path: Path, expected: Row) -> None:
    """Neither /queue nor /history can be read, so nothing is proved and nothing is sent again."""
    timing = {**QUICK_TIMEOUT, "warm_timeout_s": 1}
    async with faulty(tmp_path, "cold", {POST: processed_then(hangs)}, timing=timing) as (scene, front):
        await scene.until(lambda _: front.posts)
        for route in ("GET /queue", "GET /history", f"GET /history/{front.prompt_ids[0]}"):
            front.bends[route] = says("[]", content_type=JSON)
        await scene.until_read(expected)
        assert len(front.posts) == 1


async def test_queue_unreadable_before_it(tmp_path: Path, expected: Row) -> None:
    """Without the queue it is not known whether somebody loads the keys already."""
    bends = {"GET /queue": says('{"queue_running": null}', content_type=JSON)}
    async with faulty(tmp_path, bends=bends) as (scene, front):
        await scene.until_read(expected)
        assert front.posts == []


async def test_only_post_prompt_carries_the_workflow(tmp_path: Path, expected: Row) -> None:
    """Servers swallow a workflow that is posted elsewhere (/api/queue, /queue) and look as if they had accepted it."""
    async with faulty(tmp_path) as (scene, front):
        await warmed(scene, expected)
        assert {key for key in front.asked if key.startswith("POST")} == {POST}
        assert front.posts[0]["extra_data"][MARKER]["attempt"] == front.prompt_ids[0]
