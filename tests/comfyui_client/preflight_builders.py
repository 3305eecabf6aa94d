"""The /object_info of a server, in both shapes of a choice, and a workflow of a replaced class."""

from typing import Any

from statemachine.comfyui.workflow import parse_workflow

OLD_SHAPE = "a list of values"
NEW_SHAPE = "COMBO with options"
OLD_LOADER = parse_workflow("w", b'{"1": {"class_type": "OldLoader", "inputs": {"old": "a.pth"}}}')
RENAMED = {"new_node_id": "Loader", "old_node_id": "OldLoader", "input_mapping": [{"new_id": "model", "old_id": "old"}]}


def server(spec: object, group: str = "required") -> dict[str, Any]:
    return {
        "Loader": {"input": {group: {"model": spec}}},
        "PreviewImage": {"input": {"required": {"images": ["IMAGE"]}}},
    }


def choice(shape: str, *values: object, **options: object) -> list[Any]:
    return [list(values), options] if shape == OLD_SHAPE else ["COMBO", {"options": list(values), **options}]
