"""GET /cache/check over a fake ComfyUI: texts, JSON and invalid queries."""

import json
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from statemachine.version import version
from tests.node.conftest import FakeComfyUI

LOADED = "缓存已加载。"


async def test_check_text_names_missing_keys_until_all_cached(comfyui: FakeComfyUI) -> None:
    comfyui.add_workflow("cache", "a", "b")
    assert await comfyui.check() == (200, "未查询到缓存a,b。")
    comfyui.store("b")
    assert await comfyui.check() == (200, "未查询到缓存a。")
    comfyui.store("a")
    assert await comfyui.check() == (200, LOADED)


async def test_check_json_lists_present_and_missing_keys(comfyui: FakeComfyUI) -> None:
    comfyui.add_workflow("cache", "a", "b")
    comfyui.store("b", "c")
    answer = await comfyui.check_json("?key=z&workflow=cache&key=z&key=c")
    assert answer == {
        "comfywarm": 1,
        "release": version(),
        "instance": answer["instance"],
        "sequence": 1,
        "keys": {"present": ["c", "b"], "missing": ["z", "a"]},
        "levels": {},
        "held": {"vram": [], "ram": []},
        "loading": False,
        "auto_started": False,
        "worker_alive": None,
    }
    assert len(answer["instance"]) == 32


async def test_peek_reports_the_step_of_the_worker(comfyui: FakeComfyUI) -> None:
    assert (await comfyui.check_json("?peek=1"))["activity"] == {"cpu_s": None, "step": ""}
    comfyui.server.last_node_id = "7"
    assert (await comfyui.check_json("?peek=1"))["activity"]["step"] == "7"
    state = {"state": SimpleNamespace(value="running"), "value": 3.0, "max": 20.0}
    registry = SimpleNamespace(nodes={"7": state, "8": {**state, "state": SimpleNamespace(value="finished")}})
    comfyui.add_module("comfy_execution.progress", global_progress_registry=registry)
    assert (await comfyui.check_json("?peek=1"))["activity"]["step"] == "7:3/20"


async def test_peek_reports_the_processor_time_of_the_worker(comfyui: FakeComfyUI, tmp_path: Path) -> None:
    """A thread that waits uses none, and one that has ended has none."""
    may_end, threads = threading.Event(), list[threading.Thread]()
    worker = comfyui.module("worker").Worker(lambda: threads)
    threads.append(threading.Thread(target=may_end.wait, name="Thread-1 (prompt_worker)"))
    threads[0].start()
    worker.look()
    folder = tmp_path / str(threads[0].native_id)
    folder.mkdir()
    ticks = os.sysconf("SC_CLK_TCK")
    (folder / "stat").write_text(f"1 (a) b) S {' '.join('0' * 10)} {3 * ticks} {2 * ticks} 0")
    times = [worker.activity(tmp_path)["cpu_s"], worker.activity(tmp_path / "missing")["cpu_s"]]
    may_end.set()
    threads[0].join()
    assert [*times, worker.activity(tmp_path)["cpu_s"]] == [5.0, None, None]


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
async def test_check_answers_json_only_without_text_plain(comfyui: FakeComfyUI, accept: str, is_json: bool) -> None:
    _, body = await comfyui.check("?key=a", Accept=accept)
    assert body.startswith("{") == is_json


@pytest.mark.parametrize(
    ("file", "content", "error"),
    [
        ("ui.json", '{"nodes": [], "links": []}', "not in API format"),
        ("list.json", "[]", "not in API format"),
        ("broken.json", "{", "cannot be read"),
        ("cache.json", '{"1": {"class_type": "KSampler", "inputs": {}}}', "no keys to check"),
        ("cache.txt", "", "no keys to check"),
    ],
)
async def test_check_without_declared_keys_returns_400(
    comfyui: FakeComfyUI, file: str, content: str, error: str
) -> None:
    (comfyui.workflows / file).write_text(content, encoding="utf-8")
    status, body = await comfyui.check()
    assert status == 400
    assert error in json.loads(body)["error"]


async def test_check_reads_exported_request_body_with_bom(comfyui: FakeComfyUI) -> None:
    graph = comfyui.add_workflow("cache", "a")
    (comfyui.workflows / "body.json").write_text("\ufeff" + json.dumps({"prompt": graph}), encoding="utf-8")
    assert await comfyui.check("?workflow=body") == (200, "未查询到缓存a。")


async def test_check_reads_text_keys_of_every_cache_node_class(comfyui: FakeComfyUI) -> None:
    for name, class_type in (("1", "CacheBackendDataList //Inspire"), ("2", "CacheBackendDataNumberKey //Inspire")):
        comfyui.add_workflow(name, f"key{name}", class_type=class_type)
    (comfyui.workflows / "3.json").write_text(
        '{"1": {"class_type": "CacheModel //comfywarm", "inputs": {"key": ["2", 0]}}}'
    )
    assert await comfyui.check() == (200, "未查询到缓存key1。")


async def test_peek_without_workflow_files_succeeds(comfyui: FakeComfyUI) -> None:
    assert (await comfyui.check_json("?peek=1"))["keys"] == {"present": [], "missing": []}


async def test_loading_is_set_while_queued_prompt_has_missing_key(comfyui: FakeComfyUI) -> None:
    graph = comfyui.add_workflow("cache", "a", class_type="CacheBackendData //Inspire")
    comfyui.server.prompt_queue.running = [(0, "id", graph, {}, ["0"], {}), "an item of another form"]
    assert (await comfyui.check_json("?key=a"))["loading"]
    assert not (await comfyui.check_json("?key=b"))["loading"]
    comfyui.store("a")
    assert not (await comfyui.check_json("?key=a"))["loading"]


async def test_loading_with_unknown_queue_type_is_false(comfyui: FakeComfyUI) -> None:
    comfyui.server.prompt_queue = object()
    assert not (await comfyui.check_json("?key=a"))["loading"]


def entry(kind: type, device: str, loaded: int, offloaded: int) -> Any:
    """Make an entry of comfy.model_management.current_loaded_models."""
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


async def test_held_lists_models_in_vram_and_ram(comfyui: FakeComfyUI) -> None:
    models = [entry(Flux, "cuda", 700, 300), entry(Clip, "cpu", 50, 0), object()]
    comfyui.add_module("comfy.model_management", current_loaded_models=models)
    assert (await comfyui.check_json("?peek=1"))["held"] == {
        "vram": [{"name": "Flux", "bytes": 700}],
        "ram": [{"name": "Flux", "bytes": 300}, {"name": "Clip", "bytes": 50}],
    }


async def test_check_with_internal_error_returns_501(comfyui: FakeComfyUI) -> None:
    install = comfyui.module("install")

    class FailingWatcher(comfyui.module("watcher").Watcher):  # type: ignore[misc]
        def poll(self) -> None:
            raise OSError("poll failed")

    response = await install.CheckRoute(FailingWatcher()).handle(make_mocked_request("GET", "/cache/check?key=a"))
    assert response.status == 501
    assert "poll failed" in response.text


async def test_same_path_of_another_plugin_takes_precedence(comfyui: FakeComfyUI) -> None:
    async def other(_request: web.Request) -> web.Response:
        return web.Response(text="the other plug-in")

    comfyui.server.routes.get("/cache/check")(other)
    app = web.Application()
    app.add_routes(comfyui.server.routes)
    found = await app.router.resolve(make_mocked_request("GET", "/cache/check"))
    assert found.handler is other
