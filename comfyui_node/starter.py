"""自动执行: starts the server's own cache workflow when keys are missing. Off unless $COMFYWARM_AUTO_START is 1."""

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


def enabled() -> bool:
    """Return whether the operator has switched automatic starts on."""
    return os.environ.get(VARIABLE, "") == "1"


class Starter:
    """Queues each workflow once per state of the cache: until the cache changes, it would only fail again."""

    def __init__(self) -> None:
        self._tried: dict[str, int] = {}

    async def start(self, names: Sequence[str], missing: Sequence[str], changes: int) -> bool:
        """Queue the first workflow that loads a missing key. Return whether one was queued.

        `changes` counts the changes to the cache so far. The caller checks that no such workflow is queued.
        """
        for name in names or await asyncio.to_thread(workflows.names):
            if self._tried.get(name) == changes:
                continue
            graph = await _graph_or_empty(name)
            if not set(missing).isdisjoint(workflows.keys_of(graph)):
                self._tried[name] = changes
                if await _queue(name, graph):
                    return True
        return False


async def _graph_or_empty(name: str) -> Mapping[str, Any]:
    try:
        return await asyncio.to_thread(workflows.graph_of, name)
    except workflows.UnknownWorkflowError as error:
        log.warning("comfywarm: %s", error)
        return {}


async def _queue(name: str, graph: Mapping[str, Any]) -> bool:
    """Validate and queue the prompt as POST /prompt does (post_prompt in server.py), without a client."""
    server, prompt_id = PromptServer.instance, str(uuid.uuid4())
    result = execution.validate_prompt(*_arguments(execution.validate_prompt, prompt_id, graph))
    valid = await result if inspect.isawaitable(result) else result
    if not valid[0]:
        log.warning("comfywarm cannot start workflow %r, ComfyUI refuses it: %s", name, valid[1])
        return False
    number = server.number
    server.number += 1
    extra = {"create_time": int(time.time() * 1000)}
    item = (number, prompt_id, graph, extra, valid[2])
    server.prompt_queue.put((*item, {}) if _items_have_secrets() else item)
    log.info("comfywarm: keys are missing, workflow %r started as prompt %s", name, prompt_id)
    return True


def _arguments(validate: Callable[..., Any], prompt_id: str, graph: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the arguments: (graph) in older releases, (prompt_id, graph, partial_execution_list) in newer."""
    count = len(inspect.signature(validate).parameters)
    return (graph,) if count == 1 else (prompt_id, graph, None)[:count]


def _items_have_secrets() -> bool:
    """Return whether queue items have a sixth member, as they do in releases with this name in execution.py."""
    return hasattr(execution, "SENSITIVE_EXTRA_DATA_KEYS")
