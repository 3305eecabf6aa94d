"""The preflight before the first warm-up: it refuses only what the server would refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from statemachine.simulator.nodes import Graph, cache_workflow
from tests.faults.harness import faulty
from tests.faults.proxy import Exchange, Responder
from tests.faults.responses import respond_with
from tests.faults.table import Row

LOADER = "PulidFluxModelLoader"
OLD_LOADER = "OldPulidLoader"
MODEL_INPUT = "pulid_file"

CHOICES: dict[str, list[Any]] = {
    "empty-list": [[], {"tooltip": "filled by JavaScript"}],
    "no-options": ["COMBO", {"tooltip": "filled by JavaScript"}],
    "remote": ["COMBO", {"remote": {"route": "/models"}, "options": ["other.safetensors"]}],
    "placeholder": [["None"], {}],
}
NOT_DESCRIBED: dict[str, Responder] = {
    "error-500": respond_with("Internal Server Error", 500),
    "html-page": respond_with("<html>Sign in</html>", content_type="text/html"),
    "not-described": respond_with(json.dumps({LOADER: {"name": LOADER}}), content_type="application/json"),
}


def describe_with(choice: list[Any]) -> Responder:
    """Describe the loader with another choice."""

    async def responder(exchange: Exchange) -> web.Response:
        answer = json.loads((await exchange.forward()).text or "")
        answer[LOADER]["input"]["required"][MODEL_INPUT] = choice
        return web.json_response(answer)

    return responder


async def post_with_replaced_class(exchange: Exchange) -> web.Response:
    """Replace the old class before the simulated server validates the prompt, as ComfyUI 0.14 and later do."""
    body = json.loads(exchange.body)
    for node in body["prompt"].values():
        if node["class_type"] == OLD_LOADER:
            node.update(class_type=LOADER, inputs={MODEL_INPUT: node["inputs"]["old_file"]})
    return await exchange.forward(json.dumps(body).encode())


def old_workflow() -> Graph:
    graph = cache_workflow()
    for node in graph.values():
        if node["class_type"] == LOADER:
            node.update(class_type=OLD_LOADER, inputs={"old_file": node["inputs"][MODEL_INPUT]})
    return graph


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
async def test_preflight_choice_filled_elsewhere_is_posted(tmp_path: Path, expected: Row, choice: list[Any]) -> None:
    responders = {f"GET /object_info/{LOADER}": describe_with(choice)}
    async with faulty(tmp_path, "cold", responders) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


async def test_preflight_replaced_class_is_posted(tmp_path: Path, expected: Row) -> None:
    (tmp_path / "old.json").write_text(json.dumps(old_workflow()), encoding="utf-8")
    replacement = {"new_node_id": LOADER, "input_mapping": [{"new_id": MODEL_INPUT, "old_id": "old_file"}]}
    replacements = json.dumps({OLD_LOADER: [replacement]})
    responders = {
        "GET /node_replacements": respond_with(replacements, content_type="application/json"),
        "POST /prompt": post_with_replaced_class,
    }
    async with faulty(tmp_path, "cold", responders, workflows_dir=str(tmp_path), workflows=["old"]) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


@pytest.mark.parametrize("responder", NOT_DESCRIBED.values(), ids=NOT_DESCRIBED)
async def test_preflight_unexamined_class_is_posted(tmp_path: Path, expected: Row, responder: Responder) -> None:
    async with faulty(tmp_path, "cold", {f"GET /object_info/{LOADER}": responder}) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1
