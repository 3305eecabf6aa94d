"""GET /cache/check without ComfyUI: the words, the JSON, and what cannot be asked."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from tests.node.conftest import Inside

LOADED = "缓存已加载。"


async def test_the_missions_words(inside: Inside) -> None:
    inside.add_workflow("cache", "a", "b")
    assert await inside.ask() == (200, "未查询到缓存a,b。")
    inside.keep("b")
    assert await inside.ask() == (200, "未查询到缓存a。")
    inside.keep("a")
    assert await inside.ask() == (200, LOADED)


async def test_the_json(inside: Inside) -> None:
    inside.add_workflow("cache", "a", "b")
    inside.keep("b", "c")
    answer = await inside.tell("?key=z&workflow=cache&key=z&key=c")
    assert answer == {
        "comfywarm": 1,
        "instance": answer["instance"],
        "sequence": 1,
        "keys": {"present": ["c", "b"], "missing": ["z", "a"]},
        "held": {"vram": [], "ram": []},
        "loading": False,
        "auto_started": False,
    }
    assert len(answer["instance"]) == 32


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("application/json", True),
        ("application/json, */*", True),
        ("application/json, text/plain, */*", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
    ],
)
async def test_json_is_for_those_who_ask_for_it_alone(inside: Inside, accept: str, is_json: bool) -> None:
    _, body = await inside.ask("?key=a", Accept=accept)
    assert body.startswith("{") == is_json


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("ui.json", '{"nodes": [], "links": []}', "not in API format"),
        ("list.json", "[]", "not in API format"),
        ("broken.json", "{", "cannot be read"),
        ("cache.json", '{"1": {"class_type": "KSampler", "inputs": {}}}', "nothing says which keys"),
        ("cache.txt", "", "nothing says which keys"),
    ],
)
async def test_files_that_say_nothing_are_no_reason_to_say_loaded(
    inside: Inside, file: str, content: str, said: str
) -> None:
    (inside.workflows / file).write_text(content, encoding="utf-8")
    status, body = await inside.ask()
    assert status == 400
    assert said in json.loads(body)["error"]


async def test_an_exported_request_body_is_read_too(inside: Inside) -> None:
    graph = inside.add_workflow("cache", "a")
    (inside.workflows / "body.json").write_text("\ufeff" + json.dumps({"prompt": graph}), encoding="utf-8")
    assert await inside.ask("?workflow=body") == (200, "未查询到缓存a。")


async def test_every_kind_of_cache_node_with_a_text_key_is_known(inside: Inside) -> None:
    for name, class_type in (("1", "CacheBackendDataList //Inspire"), ("2", "CacheBackendDataNumberKey //Inspire")):
        inside.add_workflow(name, f"key{name}", class_type=class_type)
    (inside.workflows / "3.json").write_text(
        '{"1": {"class_type": "CacheModel //comfywarm", "inputs": {"key": ["2", 0]}}}'
    )
    assert await inside.ask() == (200, "未查询到缓存key1。")


async def test_a_peek_needs_no_files(inside: Inside) -> None:
    assert (await inside.tell("?peek=1"))["keys"] == {"present": [], "missing": []}


async def test_a_prompt_in_the_queue_that_brings_a_missing_key_is_loading(inside: Inside) -> None:
    graph = inside.add_workflow("cache", "a", class_type="CacheBackendData //Inspire")
    inside.server.prompt_queue.running = [(0, "id", graph, {}, ["0"], {}), "an item of another form"]
    assert (await inside.tell("?key=a"))["loading"]
    assert not (await inside.tell("?key=b"))["loading"]
    inside.keep("a")
    assert not (await inside.tell("?key=a"))["loading"]


async def test_a_queue_of_another_release_is_no_error(inside: Inside) -> None:
    inside.server.prompt_queue = object()
    assert not (await inside.tell("?key=a"))["loading"]


def entry(kind: type, device: str, loaded: int, offloaded: int) -> Any:
    return SimpleNamespace(
        model=SimpleNamespace(model=kind()),
        device=SimpleNamespace(type=device),
        model_loaded_memory=lambda: loaded,
        model_offloaded_memory=lambda: offloaded,
    )


class Flux:
    pass


class Clip:
    pass


async def test_what_is_held_in_vram_and_in_ram(inside: Inside) -> None:
    models = [entry(Flux, "cuda", 700, 300), entry(Clip, "cpu", 50, 0), object()]
    inside.add_module("comfy.model_management", current_loaded_models=models)
    assert (await inside.tell("?peek=1"))["held"] == {
        "vram": [{"name": "Flux", "bytes": 700}],
        "ram": [{"name": "Flux", "bytes": 300}, {"name": "Clip", "bytes": 50}],
    }


async def test_a_failure_inside_is_answered_not_raised(inside: Inside) -> None:
    install = inside.module("install")

    class Blind(inside.module("watcher").Watcher):  # type: ignore[misc]
        def look(self) -> None:
            raise OSError("blind")

    response = await install.CheckRoute(Blind()).handle(make_mocked_request("GET", "/cache/check?key=a"))
    assert response.status == 501
    assert "blind" in response.text


async def test_another_plug_in_with_the_same_path_goes_before_and_keeps_nobody_from_starting(inside: Inside) -> None:
    async def other(_request: web.Request) -> web.Response:
        return web.Response(text="the other's")

    inside.server.routes.get("/cache/check")(other)
    app = web.Application()
    app.add_routes(inside.server.routes)
    found = await app.router.resolve(make_mocked_request("GET", "/cache/check"))
    assert found.handler is other
