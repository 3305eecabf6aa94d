"""自动执行: the server starts its own cache workflow when keys are missing. Off unless $COMFYWARM_AUTO_START is 1."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import execution  # ComfyUI's execution.py
from server import PromptServer

from . import workflows

VARIABLE = "COMFYWARM_AUTO_START"
log = logging.getLogger("comfywarm")


def wanted() -> bool:
    """Whether the operator has switched it on."""
    return os.environ.get(VARIABLE, "") == "1"


class Starter:
    """Queues a workflow once: not again until what is cached has changed, for it would only fail again."""

    def __init__(self) -> None:
        self._tried: dict[str, int] = {}

    async def start(self, names: Sequence[str], missing: Sequence[str], changes: int) -> bool:
        """Queue the first workflow that brings a missing key; whether one was queued. The caller knows that none is.

        `changes` is how often what is cached has changed.
        """
        for name in names or await asyncio.to_thread(workflows.names):
            if self._tried.get(name) == changes:
                continue
            graph = await _readable(name)
            if not set(missing).isdisjoint(workflows.keys_of(graph)):
                self._tried[name] = changes
                if await _queue(name, graph):
                    return True
        return False


async def _readable(name: str) -> Mapping[str, Any]:
    """The workflow's graph; an empty one where the file cannot be used."""
    try:
        return await asyncio.to_thread(workflows.graph_of, name)
    except workflows.UnknownWorkflowError as error:
        log.warning("comfywarm: %s", error)
        return {}


async def _queue(name: str, graph: Mapping[str, Any]) -> bool:
    """As POST /prompt does, but with no client: server.py, post_prompt."""
    server, prompt_id = PromptServer.instance, str(uuid.uuid4())
    valid = execution.validate_prompt(*_arguments(execution.validate_prompt, prompt_id, graph))
    checked = await valid if inspect.isawaitable(valid) else valid
    if not checked[0]:
        log.warning("comfywarm cannot start workflow %r, ComfyUI refuses it: %s", name, checked[1])
        return False
    number = server.number
    server.number += 1
    extra = {"create_time": int(time.time() * 1000)}
    item = (number, prompt_id, graph, extra, checked[2])
    server.prompt_queue.put((*item, {}) if _items_hold_secrets() else item)
    log.info("comfywarm: keys are missing, workflow %r started as prompt %s", name, prompt_id)
    return True


def _arguments(validate: Callable[..., Any], prompt_id: str, graph: Mapping[str, Any]) -> tuple[Any, ...]:
    """Older releases take the graph only, newer ones (prompt_id, graph, partial_execution_list)."""
    count = len(inspect.signature(validate).parameters)
    return (graph,) if count == 1 else (prompt_id, graph, None)[:count]


def _items_hold_secrets() -> bool:
    """Newer releases have a sixth member in each item of the queue: execution.py, SENSITIVE_EXTRA_DATA_KEYS."""
    return hasattr(execution, "SENSITIVE_EXTRA_DATA_KEYS")
