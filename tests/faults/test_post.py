"""Faults of POST /prompt: it is repeated only after the first one is confirmed absent."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from statemachine.simulator import PROFILES
from tests.faults.harness import Harness, assert_nothing_is_sent, faulty, watched
from tests.faults.proxy import MARKER, Exchange, FaultProxy, Responder
from tests.faults.responses import hang, processed_then, reset_connection, respond_with, times
from tests.faults.table import Row
from tests.support.daemon import Json
from tests.support.polling import wait_until

POST = "POST /prompt"
JSON = "application/json"
UI_FORMAT = "500 Internal Server Error\n\nServer got itself in trouble"

NOTHING_QUEUED: dict[str, Responder] = {
    "empty-200": respond_with(b"", 200, "application/octet-stream"),
    "no-prompt-id": respond_with("{}", content_type=JSON),
    "null-prompt-id": respond_with('{"prompt_id": null, "number": 1, "node_errors": {}}', content_type=JSON),
    "number-prompt-id": respond_with('{"prompt_id": 17, "number": 1, "node_errors": {}}', content_type=JSON),
    "turned-into-a-get": respond_with('{"exec_info": {"queue_remaining": 0}}', content_type=JSON),
    "html-200": respond_with("<html><title>Sign in</title></html>", content_type="text/html"),
    "error-500": respond_with(UI_FORMAT, 500),
    "absent-404": respond_with(b"", 404),
    "not-allowed-405": respond_with("405: Method Not Allowed", 405),
    "redirect-301": respond_with(b"", 301, Location="https://192.0.2.1/prompt"),
    "redirect-302": respond_with(b"", 302, Location="https://192.0.2.1/prompt"),
    "redirect-307": respond_with(b"", 307, Location="https://192.0.2.1/prompt"),
    "status-401": respond_with('{"error": "Authentication required."}', 401, JSON),
    "redirect-to-login": respond_with(b"", 302, Location="/login"),
    "redirect-to-sign-in": respond_with(b"", 303, Location="https://auth.example/oauth2/authorize?client_id=1"),
    "too-large-413": respond_with("Maximum request body size exceeded", 413),
    "bare-400": respond_with("Bad Request", 400),
}
NOT_DELIVERED: dict[str, Responder] = {
    "timeout": hang,
    "reset": reset_connection,
    "proxy-502": respond_with("Bad Gateway", 502),
}
RESPONSE_LOST: dict[str, Responder] = {
    "timeout": hang,
    "reset": reset_connection,
    "proxy-504": respond_with("Gateway Time-out", 504),
    "tunnel-524": respond_with("error code: 524", 524),
    "error-500": respond_with(UI_FORMAT, 500),
    "empty-200": respond_with(b""),
    "null-prompt-id": respond_with('{"prompt_id": null, "number": 1, "node_errors": {}}', content_type=JSON),
    "html-200": respond_with("<html></html>", content_type="text/html"),
}
QUICK_TIMEOUT = {"http_timeout_s": 0.5}


async def check_row_and_warm(harness: Harness, expected: Row) -> Json:
    """Wait until the API shows the row and then until the server is loaded."""
    await harness.until_read(expected)
    return await harness.until_state("loaded")


@pytest.mark.parametrize("responder", NOTHING_QUEUED.values(), ids=NOTHING_QUEUED)
async def test_post_not_queued_is_failed(tmp_path: Path, expected: Row, responder: Responder) -> None:
    async with faulty(tmp_path, responders={POST: responder}) as (harness, proxy):
        await harness.until_read(expected)
        detail = await harness.until_state("failed")
        assert detail["cache_loaded"] is False
        assert len(proxy.posts) == 1


@pytest.mark.parametrize("responder", NOT_DELIVERED.values(), ids=NOT_DELIVERED)
async def test_post_that_never_arrived_is_sent_again(tmp_path: Path, expected: Row, responder: Responder) -> None:
    """The prompt is confirmed absent, so another one is sent with a new id."""
    async with faulty(tmp_path, responders={POST: times(1, responder)}, timing=QUICK_TIMEOUT) as (harness, proxy):
        await check_row_and_warm(harness, expected)
        assert len(proxy.posts) == 2
        assert proxy.ended == proxy.prompt_ids[1:]


@pytest.mark.parametrize("responder", RESPONSE_LOST.values(), ids=RESPONSE_LOST)
async def test_post_queued_without_a_response_is_found(tmp_path: Path, expected: Row, responder: Responder) -> None:
    responders = {POST: processed_then(responder)}
    async with faulty(tmp_path, responders=responders, timing=QUICK_TIMEOUT, scale=0.05) as (harness, proxy):
        await check_row_and_warm(harness, expected)
        assert len(proxy.posts) == 1
        assert proxy.ended == proxy.prompt_ids


LIMITED = respond_with("slow down", 429, Retry_After="1")


async def test_post_limited_is_sent_again_after_the_pause(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, responders={POST: times(1, LIMITED)}) as (harness, proxy):
        await harness.until(lambda detail: detail["reason"] == "rate_limited")
        await assert_nothing_is_sent(proxy)
        await check_row_and_warm(harness, expected)
        assert len(proxy.posts) == 2
        assert proxy.ended == proxy.prompt_ids[1:]


async def test_post_limited_holds_no_permit(tmp_path: Path, expected: Row) -> None:
    """With one permit in the fleet, another server is warmed during the pause."""
    limited, other = FaultProxy(PROFILES["cold"]), FaultProxy(PROFILES["cold"])
    limited.responders[POST] = respond_with("slow down", 429, Retry_After="600")
    other.responders["GET /cache/check"] = respond_with(b"", 502)
    async with limited.listening(), other.listening():
        named = {"url": other.url, "name": "other"}
        async with watched(tmp_path, limited.url, named, limits={"max_warming": 1}) as harness:
            await harness.until_read(expected)
            other.responders.clear()
            await harness.wait_for_state("other", "loaded")
            assert len(limited.posts) == len(other.posts) == 1


async def test_post_queued_and_limited_is_found(tmp_path: Path, expected: Row) -> None:
    responders = {POST: processed_then(LIMITED)}
    async with faulty(tmp_path, responders=responders) as (harness, proxy):
        await check_row_and_warm(harness, expected)
        assert len(proxy.posts) == 1
        assert proxy.ended == proxy.prompt_ids


async def test_post_delivered_late_is_not_repeated(tmp_path: Path, expected: Row) -> None:
    """A proxy delivers the POST late, but within the grace period."""

    async def late(exchange: Exchange) -> web.StreamResponse:
        asyncio.get_running_loop().call_later(1.0, lambda: deliveries.append(asyncio.ensure_future(exchange.forward())))
        return await exchange.hang()

    deliveries: list[asyncio.Future[web.Response]] = []
    timing = {"http_timeout_s": 0.4, "lost_grace_s": 3}
    async with faulty(tmp_path, responders={POST: late}, timing=timing) as (harness, proxy):
        await check_row_and_warm(harness, expected)
        assert len(proxy.posts) == len(deliveries) == 1


async def test_post_response_after_the_success_is_applied(tmp_path: Path, expected: Row) -> None:
    """The success frame overtakes the answer."""

    async def slow(exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.forward()
        await wait_until(lambda: exchange.proxy.ended)
        return answer

    async with faulty(tmp_path, responders={POST: slow}) as (harness, proxy):
        await check_row_and_warm(harness, expected)
        assert len(proxy.posts) == 1
        assert ("warming", "prompt_accepted") in await harness.transitions("faulty")


async def forward_without_id(exchange: Exchange) -> web.Response:
    """Forward the request without its id, as a server from before mid-2025 ignores it."""
    body = json.loads(exchange.body)
    del body["prompt_id"]
    return await exchange.forward(json.dumps(body).encode())


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "answer-lost"])
async def test_post_with_the_servers_own_id_is_found(tmp_path: Path, expected: Row, answered: bool) -> None:
    async def older(exchange: Exchange) -> web.StreamResponse:
        answer = await forward_without_id(exchange)
        return answer if answered else await exchange.hang()

    async with faulty(tmp_path, responders={POST: older}, timing=QUICK_TIMEOUT, scale=0.05) as (harness, proxy):
        await check_row_and_warm(harness, expected)
        assert len(proxy.posts) == 1
        assert len(proxy.ended) == 1
        assert proxy.ended != proxy.prompt_ids


async def test_post_with_the_servers_own_id_after_the_success_is_applied(tmp_path: Path, expected: Row) -> None:
    """The frames name an id that the daemon does not know yet."""

    async def slow(exchange: Exchange) -> web.StreamResponse:
        answer = await forward_without_id(exchange)
        await wait_until(lambda: exchange.proxy.ended)
        return answer

    async with faulty(tmp_path, responders={POST: slow}) as (harness, proxy):
        await check_row_and_warm(harness, expected)
        assert len(proxy.posts) == 1
        success = [
            one for one in (await harness.detail("faulty"))["transitions"] if one["reason"] == "prompt_succeeded"
        ]
        assert [one["proved_by"] for one in success] == ["ws"]


async def test_post_with_a_dropped_part_is_failed(tmp_path: Path, expected: Row) -> None:
    """The server responds 200 with node_errors and runs the rest; its success is not counted."""

    async def partial(exchange: Exchange) -> web.StreamResponse:
        answer = json.loads((await exchange.forward()).body)  # type: ignore[arg-type]
        errors = [{"type": "value_not_in_list", "message": "Value not in list", "details": "pulid_file: 'x' not in []"}]
        answer["node_errors"] = {
            "5": {"errors": errors, "dependent_outputs": ["6"], "class_type": "PulidFluxModelLoader"}
        }
        return web.json_response(answer)

    async with faulty(tmp_path, responders={POST: partial}, scale=0.1) as (harness, proxy):
        await harness.until_read(expected)
        await harness.until(lambda _: proxy.ended)
        assert len(proxy.posts) == 1


async def test_post_refused_by_validation_is_failed(tmp_path: Path, expected: Row) -> None:
    async with faulty(tmp_path, "refusing") as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


async def test_post_uncertain_with_unreadable_records_is_stuck(tmp_path: Path, expected: Row) -> None:
    """Without /queue and /history the prompt cannot be found, so it is not sent again."""
    timing = {**QUICK_TIMEOUT, "warm_timeout_s": 1}
    async with faulty(tmp_path, "cold", {POST: processed_then(hang)}, timing=timing) as (harness, proxy):
        await harness.until(lambda _: proxy.posts)
        for route in ("GET /queue", "GET /history", f"GET /history/{proxy.prompt_ids[0]}"):
            proxy.responders[route] = respond_with("[]", content_type=JSON)
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


async def test_queue_unreadable_before_the_post_is_unknown(tmp_path: Path, expected: Row) -> None:
    """Without the queue the daemon cannot know whether a user already loads the keys."""
    responders = {"GET /queue": respond_with('{"queue_running": null}', content_type=JSON)}
    async with faulty(tmp_path, responders=responders) as (harness, proxy):
        await harness.until_read(expected)
        assert proxy.posts == []


async def test_queue_too_large_before_the_post_is_unknown(tmp_path: Path, expected: Row) -> None:
    body = b'{"queue_running": [], "queue_pending": [' + b"[]," * 2_000_000 + b"[]]}"
    async with faulty(tmp_path, responders={"GET /queue": respond_with(body, content_type=JSON)}) as (harness, proxy):
        await harness.until_read(expected)
        asked = proxy.requests["GET /cache/check"]
        await harness.until(lambda _: proxy.requests["GET /cache/check"] > asked)
        assert (proxy.requests["GET /queue"], proxy.posts) == (1, [])


async def test_workflow_is_posted_only_to_prompt(tmp_path: Path, expected: Row) -> None:
    """Servers respond 200 to a workflow on other routes, such as /queue, and ignore it."""
    async with faulty(tmp_path) as (harness, proxy):
        await check_row_and_warm(harness, expected)
        assert {key for key in proxy.requests if key.startswith("POST")} == {POST}
        assert proxy.posts[0]["extra_data"][MARKER]["attempt"] == proxy.prompt_ids[0]
