"""Asks a live server whether it can run a workflow: the questions, for `preflight` to judge the answers."""

from collections.abc import Mapping
from typing import Any

from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import AbsentError, NotUnderstoodError
from statemachine.comfyui.preflight import Fitness, compare, required_classes
from statemachine.comfyui.workflow import Workflow

NOTHING_KNOWN: Mapping[str, Any] = {}
"""The description of a class whose answer was not understood: it may well be there."""


async def fitness(client: ComfyClient, workflow: Workflow) -> Fitness:
    """What the server lacks for the workflow. Changes nothing there; one small GET for each class, one after another.

    Raises NotAnsweringError or AccessDeniedError; an answer that is not understood proves nothing and is passed over.
    """
    known = {name: await _description(client, name) for name in required_classes(workflow)}
    return compare(workflow, {name: description for name, description in known.items() if description is not None})


async def _description(client: ComfyClient, class_type: str) -> Mapping[str, Any] | None:
    try:
        return await client.object_info(class_type)
    except (AbsentError, NotUnderstoodError):
        return NOTHING_KNOWN
