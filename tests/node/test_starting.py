"""自动执行 on old and new releases of ComfyUI, and the package's own start, without ComfyUI."""

import ast
import asyncio
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.node.conftest import Inside, importable

PACKAGE = Path(__file__).parents[2] / "comfyui_node"
STARTED = "未查询到缓存a，已经自动在后台执行缓存模型工作流。"
ASKED = "未查询到缓存a。"
Valid = tuple[bool, Any, list[str], dict[str, Any]]


@pytest.fixture
def starting(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> Inside:
    monkeypatch.setenv("COMFYWARM_AUTO_START", "1")
    return inside


def old(prompt: Any) -> Valid:
    return True, None, list(prompt), {}


async def newer(prompt_id: str, prompt: Any) -> Valid:
    return bool(prompt_id), None, list(prompt), {}


async def new(prompt_id: str, prompt: Any, partial_execution_list: Any) -> Valid:
    return bool(prompt_id) and partial_execution_list is None, None, list(prompt), {}


async def refusing(prompt_id: str, prompt: Any, partial_execution_list: Any) -> Valid:
    return "0" in prompt and prompt["0"]["inputs"]["key"] != "a", {"type": "prompt_no_outputs"}, list(prompt), {}


@pytest.mark.parametrize(("validate", "secrets"), [(old, False), (newer, False), (new, False), (new, True)])
async def test_a_prompt_is_queued_as_this_release_wants_it(
    starting: Inside, validate: Callable[..., Any], secrets: bool
) -> None:
    execution = starting.module("execution")
    execution.validate_prompt = validate
    if secrets:
        execution.SENSITIVE_EXTRA_DATA_KEYS = ("token",)
    graph = starting.add_workflow("cache", "a")
    assert await starting.ask() == (200, STARTED)
    ((number, prompt_id, queued, extra, outputs, *rest),) = starting.server.prompt_queue.pending
    assert (number, queued, outputs, rest) == (7, graph, ["0"], [{}] if secrets else [])
    assert len(prompt_id) == 36
    assert set(extra) == {"create_time"}
    assert starting.server.number == 8
    assert [frame["change"] for frame in starting.frames] == ["started"]


async def test_it_is_off_unless_switched_on(inside: Inside) -> None:
    inside.add_workflow("cache", "a")
    assert await inside.ask() == (200, ASKED)
    assert not inside.server.prompt_queue.pending


async def test_never_while_one_is_queued_and_never_for_a_peek(starting: Inside) -> None:
    starting.add_workflow("cache", "a")
    assert await starting.ask("?workflow=cache&peek=1") == (200, ASKED)
    assert await asyncio.gather(*(starting.ask() for _ in range(5))) == [(200, STARTED)] * 5
    assert len(starting.server.prompt_queue.pending) == 1
    answer = await starting.tell()
    assert (answer["loading"], answer["auto_started"]) == (True, True)


async def test_not_again_until_something_has_changed(starting: Inside) -> None:
    starting.add_workflow("cache", "a")
    await starting.ask()
    starting.server.prompt_queue.pending.clear()
    assert await starting.ask() == (200, ASKED)
    starting.keep("b")
    assert await starting.ask() == (200, STARTED)


async def test_the_first_workflow_that_brings_a_missing_key_and_is_accepted(starting: Inside) -> None:
    starting.module("execution").validate_prompt = refusing
    starting.add_workflow("1-refused", "a")
    starting.add_workflow("2-useless", "z")
    good = starting.add_workflow("3-good", "b", "a")
    (starting.workflows / "0-broken.json").write_text("{", encoding="utf-8")
    assert await starting.ask("?key=a") == (200, STARTED)
    assert [item[2] for item in starting.server.prompt_queue.pending] == [good]


async def test_what_raises_in_comfyui_stays_there(starting: Inside) -> None:
    starting.module("execution").validate_prompt = None
    starting.add_workflow("cache", "a")
    assert await starting.ask() == (200, ASKED)


def test_a_comfyui_without_its_server_gets_no_nodes_and_no_exception(caplog: pytest.LogCaptureFixture) -> None:
    with importable():
        sys.modules["server"] = ModuleType("server")
        assert not importlib.import_module("comfyui_node").NODE_CLASS_MAPPINGS
    assert "cannot start; ComfyUI goes on without it" in caplog.text


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_the_oldest_python_of_comfyui_can_read_it(path: Path) -> None:
    source = path.read_text("utf-8")
    ast.parse(source, feature_version=(3, 9))
    assert "from __future__ import annotations\n" in source
