"""自动执行, the automatic start of cache workflows, on old and new releases of ComfyUI; and the package's import."""

import ast
import asyncio
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.node.conftest import FakeComfyUI, importable
from tests.support.paths import REPOSITORY

PACKAGE = REPOSITORY / "comfyui_node"
STARTED = "未查询到缓存a，已经自动在后台执行缓存模型工作流。"
MISSING = "未查询到缓存a。"
Valid = tuple[bool, Any, list[str], dict[str, Any]]


@pytest.fixture
def starting(comfyui: FakeComfyUI, monkeypatch: pytest.MonkeyPatch) -> FakeComfyUI:
    """A fake ComfyUI with automatic starts enabled."""
    monkeypatch.setenv("COMFYWARM_AUTO_START", "1")
    return comfyui


def old(prompt: Any) -> Valid:
    return True, None, list(prompt), {}


async def newer(prompt_id: str, prompt: Any) -> Valid:
    return bool(prompt_id), None, list(prompt), {}


async def new(prompt_id: str, prompt: Any, partial_execution_list: Any) -> Valid:
    return bool(prompt_id) and partial_execution_list is None, None, list(prompt), {}


async def refusing(prompt_id: str, prompt: Any, partial_execution_list: Any) -> Valid:
    return "0" in prompt and prompt["0"]["inputs"]["key"] != "a", {"type": "prompt_no_outputs"}, list(prompt), {}


@pytest.mark.parametrize(("validate", "secrets"), [(old, False), (newer, False), (new, False), (new, True)])
async def test_start_queues_item_in_the_form_of_the_release(
    starting: FakeComfyUI, validate: Callable[..., Any], secrets: bool
) -> None:
    execution = starting.module("execution")
    execution.validate_prompt = validate
    if secrets:
        execution.SENSITIVE_EXTRA_DATA_KEYS = ("token",)
    graph = starting.add_workflow("cache", "a")
    assert await starting.check() == (200, STARTED)
    ((number, prompt_id, queued, extra, outputs, *rest),) = starting.server.prompt_queue.pending
    assert (number, queued, outputs, rest) == (7, graph, ["0"], [{}] if secrets else [])
    assert len(prompt_id) == 36
    assert set(extra) == {"create_time"}
    assert starting.server.number == 8
    assert [frame["change"] for frame in starting.frames] == ["started"]


async def test_check_without_auto_start_queues_nothing(comfyui: FakeComfyUI) -> None:
    comfyui.add_workflow("cache", "a")
    assert await comfyui.check() == (200, MISSING)
    assert not comfyui.server.prompt_queue.pending


async def test_concurrent_checks_queue_one_workflow_and_peek_none(starting: FakeComfyUI) -> None:
    starting.add_workflow("cache", "a")
    assert await starting.check("?workflow=cache&peek=1") == (200, MISSING)
    assert await asyncio.gather(*(starting.check() for _ in range(5))) == [(200, STARTED)] * 5
    assert len(starting.server.prompt_queue.pending) == 1
    answer = await starting.check_json()
    assert (answer["loading"], answer["auto_started"]) == (True, True)


async def test_start_is_not_repeated_until_the_cache_changes(starting: FakeComfyUI) -> None:
    starting.add_workflow("cache", "a")
    await starting.check()
    starting.server.prompt_queue.pending.clear()
    assert await starting.check() == (200, MISSING)
    starting.store("b")
    assert await starting.check() == (200, STARTED)


async def test_start_skips_unusable_and_refused_workflows(starting: FakeComfyUI) -> None:
    starting.module("execution").validate_prompt = refusing
    starting.add_workflow("1-refused", "a")
    starting.add_workflow("2-useless", "z")
    good = starting.add_workflow("3-good", "b", "a")
    (starting.workflows / "0-broken.json").write_text("{", encoding="utf-8")
    assert await starting.check("?key=a") == (200, STARTED)
    assert [item[2] for item in starting.server.prompt_queue.pending] == [good]


async def test_check_answers_when_validation_raises(starting: FakeComfyUI) -> None:
    starting.module("execution").validate_prompt = None
    starting.add_workflow("cache", "a")
    assert await starting.check() == (200, MISSING)


def test_import_without_prompt_server_logs_and_registers_no_nodes(caplog: pytest.LogCaptureFixture) -> None:
    with importable():
        sys.modules["server"] = ModuleType("server")
        assert not importlib.import_module("comfyui_node").NODE_CLASS_MAPPINGS
    assert "cannot start; ComfyUI continues without it" in caplog.text


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.name)
def test_package_parses_as_python_3_9(path: Path) -> None:
    source = path.read_text("utf-8")
    ast.parse(source, feature_version=(3, 9))
    assert "from __future__ import annotations\n" in source
