"""How a prompt ends, in the words of other libraries and in JSON that only Python accepts."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typing_extensions import override

from tests.faults.harness import faulty
from tests.faults.proxy import Exchange, FaultProxy, Frame
from tests.faults.table import Row
from tests.support.daemon import Json

PYTHON: dict[str, Any] = {"strength": [math.inf], "noise": [math.nan, -math.inf], "text": ["\ud800"], "seed": [10**400]}
"""Inputs of a node that `json.dumps` writes and strict JSON does not have."""


class PythonHistory(dict[str, Json]):
    """A history whose failures quote these inputs."""

    @override
    def __setitem__(self, key: str, value: Json) -> None:
        messages = [[kind, data | {"current_inputs": PYTHON}] for kind, data in value["status"]["messages"]]
        super().__setitem__(key, {**value, "status": {**value["status"], "messages": messages}})


def with_python_inputs(message: Json, text: str) -> Iterable[Frame]:
    """Let every frame about a prompt quote these inputs."""
    is_of_prompt = "prompt_id" in message["data"]
    return [json.dumps({**message, "data": message["data"] | {"current_inputs": PYTHON}}) if is_of_prompt else text]


def without_prompt_frames(message: Json, text: str) -> Iterable[Frame]:
    return () if "prompt_id" in message["data"] else (text,)


@pytest.mark.parametrize("source", ["frame", "history"])
async def test_failure_with_numbers_of_python_is_diagnosed(tmp_path: Path, expected: Row, source: str) -> None:
    def prepare(proxy: FaultProxy) -> None:
        proxy.server.process.queue.history = PythonHistory()

    frames = with_python_inputs if source == "frame" else without_prompt_frames
    async with faulty(tmp_path, "raising", frame_filter=frames, prepare=prepare) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


PATHS = ("GET /prompt", "GET /queue", "GET /system_stats", "GET /history", "POST /prompt")


async def with_python_members(exchange: Exchange) -> web.Response:
    """Add members to a JSON answer, and a user's prompt to a history."""
    response = await exchange.forward()
    assert isinstance(response.body, bytes)
    answer = json.loads(response.body)
    user = {"user": {"prompt": [math.nan, "user", {"1": PYTHON}, {}, []], "outputs": PYTHON, "status": None}}
    more = user if exchange.request.path == "/history" else PYTHON
    return web.Response(status=response.status, text=json.dumps(more | answer), content_type="application/json")


async def test_answers_with_numbers_of_python_are_read(tmp_path: Path, expected: Row) -> None:
    responders = dict.fromkeys(PATHS, with_python_members)
    async with faulty(tmp_path, responders=responders, cache_check={"kind": "history"}) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1


async def test_blocked_node_does_not_end_the_prompt(tmp_path: Path, expected: Row) -> None:
    """ComfyUI sends `execution_error` for a node that an ExecutionBlocker skips, and goes on."""

    def blocked_first(message: Json, text: str) -> Iterable[Frame]:
        if message["type"] != "execution_cached":
            return [text]
        data = {"prompt_id": message["data"]["prompt_id"], "node_id": "1", "node_type": "Switch", "executed": []}
        error = {"exception_type": "ExecutionBlocked", "exception_message": "Execution Blocked: not now"}
        return [text, json.dumps({"type": "execution_error", "data": data | error})]

    async with faulty(tmp_path, frame_filter=blocked_first) as (harness, proxy):
        detail = await harness.until_read(expected)
        assert "to_failed" not in detail["counters"]
        await harness.until_state("loaded")
        assert len(proxy.posts) == 1


OUT_OF_MEMORY = {
    "directml": ("RuntimeError", "Could not allocate tensor with 9 bytes. There is not enough GPU video memory!"),
    "cpu": ("RuntimeError", "[enforce fail at alloc_cpu.cpp:80] DefaultCPUAllocator: not enough memory: you tried"),
    "cublas": ("RuntimeError", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    "accelerator": ("torch.AcceleratorError", "CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation'"),
    "windows-1455": ("OSError", "The paging file is too small for this operation to complete. (os error 1455)"),
    "memory-error": ("MemoryError", ""),
}  # fmt: skip


@pytest.mark.parametrize("raised", OUT_OF_MEMORY.values(), ids=OUT_OF_MEMORY)
async def test_out_of_memory_in_other_words_is_recognised(
    tmp_path: Path, expected: Row, raised: tuple[str, str]
) -> None:
    def reworded(message: Json, text: str) -> Iterable[Frame]:
        if message["type"] != "execution_error":
            return [text]
        words = {"exception_type": raised[0], "exception_message": raised[1]}
        return [json.dumps({**message, "data": message["data"] | words})]

    async with faulty(tmp_path, "raising", frame_filter=reworded) as (harness, proxy):
        await harness.until_read(expected)
        assert len(proxy.posts) == 1
