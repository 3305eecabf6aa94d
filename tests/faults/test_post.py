"""POST /prompt goes wrong: it is never repeated before the first one's fate is proved, and no answer is misread."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from tests.faults.harness import Harness, faulty
from tests.faults.proxy import MARKER, Exchange, Responder
from tests.faults.responses import cuts, hangs, processed_then, says, times
from tests.faults.table import Row
from tests.support.daemon import Json
from tests.support.polling import wait_until

POST = "POST /prompt"
JSON = "application/json"
UI_FORMAT = "500 Internal Server Error\n\nServer got itself in trouble"

NOTHING_QUEUED: dict[str, Responder] = {
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
NEVER_ARRIVED: dict[str, Responder] = {"timeout": hangs, "reset": cuts, "proxy-502": says("Bad Gateway", 502)}
ANSWER_LOST: dict[str, Responder] = {
    "timeout": hangs,
    "reset": cuts,
    "proxy-504": says("Gateway Time-out", 504),
    "error-500": says(UI_FORMAT, 500),
    "empty-200": says(b""),
    "null-prompt-id": says('{"prompt_id": null, "number": 1, "node_errors": {}}', content_type=JSON),
    "html-200": says("<html></html>", content_type="text/html"),
}
QUICK_TIMEOUT = {"http_timeout_s": 0.5}


async def warmed(harness: Harness, expected: Row) -> Json:
    """Once the operator reads what the page promises, and the server is loaded."""
    await harness.until_read(expected)
    return await harness.until_state("loaded")


@pytest.mark.parametrize("responder", NOTHING_QUEUED.values(), ids=NOTHING_QUEUED)
async def test_answered_and_not_queued(tmp_path: Path, expected: Row, responder: Responder) -> None:
    async with faulty(tmp_path, responders={POST: responder}) as (harness, proxy):
        await harness.until_read(expected)
        detail = await harness.until_state("failed")
        assert detail["cache_loaded"] is False
        assert len(proxy.posts) == 1


@pytest.mark.parametrize("responder", NEVER_ARRIVED.values(), ids=NEVER_ARRIVED)
async def test_it_never_arrived(tmp_path: Path, expected: Row, responder: Responder) -> None:
    """Proved absent, so another attempt is made, under another id."""
    async with faulty(tmp_path, responders={POST: times(1, responder)}, timing=QUICK_TIMEOUT) as (harness, proxy):
        await warmed(harness, expected)
        assert len(proxy.posts) == 2
        assert proxy.ended == proxy.prompt_ids[1:]


@pytest.mark.parametrize("responder", ANSWER_LOST.values(), ids=ANSWER_LOST)
async def test_queued_and_the_answer_lost(tmp_path: Path, expected: Row, responder: Responder) -> None:
    responders = {POST: processed_then(responder)}
    async with faulty(tmp_path, responders=responders, timing=QUICK_TIMEOUT, scale=0.05) as (harness, proxy):
        await warmed(harness, expected)
        assert len(proxy.posts) == 1
        assert proxy.ended == proxy.prompt_ids


async def test_arrives_after_its_sender_gave_up(tmp_path: Path, expected: Row) -> None:
    """A proxy delivers the POST late, but within the grace period."""

    async def late(exchange: Exchange) -> web.StreamResponse:
        asyncio.get_running_loop().call_later(
            1.0, lambda: deliveries.append(asyncio.ensure_future(exchange.faithful()))
        )
        return await exchange.never()

    deliveries: list[asyncio.Future[web.Response]] = []
    timing = {"http_timeout_s": 0.4, "lost_grace_s": 3}
    async with faulty(tmp_path, responders={POST: late}, timing=timing) as (harness, proxy):
        await warmed(harness, expected)
        assert len(proxy.posts) == len(deliveries) == 1


async def test_answer_after_success(tmp_path: Path, expected: Row) -> None:
    """The success frame overtakes the answer."""

    async def slow(exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.faithful()
        await wait_until(lambda: exchange.proxy.ended)
        return answer

    async with faulty(tmp_path, responders={POST: slow}) as (harness, proxy):
        await warmed(harness, expected)
        assert len(proxy.posts) == 1
        assert ("warming", "prompt_accepted") in await harness.transitions("faulty")


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

    async with faulty(tmp_path, responders={POST: older}, timing=QUICK_TIMEOUT, scale=0.05) as (harness, proxy):
        await warmed(harness, expected)
        assert len(proxy.posts) == 1
        assert len(proxy.ended) == 1
        assert proxy.ended != proxy.prompt_ids


async def test_part_of_it_dropped(tmp_path: Path, expected: Row) -> None:
    """200 and a prompt_id, and node_errors: the rest runs, and its success proves nothing."""

    async def partial(exchange: Exchange) -> web.StreamResponse:
        answer = json.loads((await exchange.faithful()).body)  # type: ignore[arg-type]
        errors = [{"type": "value_not_in_list", "message": "Value not in list", "details": "pulid_file: 'x' not in []"}]
        answer["node_errors"] = {
            "5": {"errors": errors, "dependent_outputs": ["6"], "class_type": "PulidFluxModelLoader"}
        }
        return web.json_response(answer)

    async with faulty(tmp_path, responders={POST: partial}, scale=0.1) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until(lambda _: proxy.ended)
        assert len(proxy.posts) == 1


async def test_refused_by_validation(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "refusing") as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


async def test_records_unreadable_while_in_doubt(tmp_path: Path, expected: Row) -> None:
    """Neither /queue nor /history can be read, so nothing is proved and nothing is sent again."""
    timing = {**QUICK_TIMEOUT, "warm_timeout_s": 1}
    async with faulty(tmp_path, "cold", {POST: processed_then(hangs)}, timing=timing) as (harness, proxy):
        await harness.until(lambda _: proxy.posts)
        for route in ("GET /queue", "GET /history", f"GET /history/{proxy.prompt_ids[0]}"):
            proxy.responders[route] = says("[]", content_type=JSON)
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


async def test_queue_unreadable_before_it(tmp_path: Path, expected: Row) -> None:
    """Without the queue it is not known whether somebody loads the keys already."""
    responders = {"GET /queue": says('{"queue_running": null}', content_type=JSON)}
    async with faulty(tmp_path, responders=responders) as (harness, proxy):
        await harness.until_read(expected)
        assert proxy.posts == []


async def test_only_post_prompt_carries_the_workflow(tmp_path: Path, expected: Row) -> None:
    """Servers swallow a workflow that is posted elsewhere (/api/queue, /queue) and look as if they had accepted it."""
    async with faulty(tmp_path) as (harness, proxy):
        await warmed(harness, expected)
        assert {key for key in proxy.asked if key.startswith("POST")} == {POST}
        assert proxy.posts[0]["extra_data"][MARKER]["attempt"] == proxy.prompt_ids[0]
