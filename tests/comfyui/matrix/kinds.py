"""The kinds of check: what a server has installed for each, and the workflows that are kept warm on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.comfyui.rig import CheckMode, Graph, cache_workflow

SECONDS = 0.3
"""The loading time of each model."""


def image_workflow(color: int) -> Graph:
    """Return a workflow of nodes that every ComfyUI has. It has no cache node and saves a temporary image."""
    size = {"width": 64, "height": 64, "batch_size": 1}
    return {
        "1": {"class_type": "EmptyImage", "inputs": {**size, "color": color}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }


def with_source(graph: Graph, node_id: str, class_type: str, **inputs: object) -> Graph:
    """Return the workflow with another node of this id."""
    return {**graph, node_id: {"class_type": class_type, "inputs": inputs}}


KEYED = cache_workflow("a", "b", seconds=SECONDS)
STOCK = image_workflow(color=1)


@dataclass(frozen=True)
class Kind:
    """One kind of check. `server` has the arguments of Rig.server, `source` is the node that fails where one has to."""

    name: str
    server: Mapping[str, Any]
    flow: Graph = field(default_factory=lambda: KEYED)
    source: str = "10"
    has_keys: bool = True

    @property
    def raising(self) -> Graph:
        """The workflow with a node that raises."""
        return with_source(self.flow, self.source, "RigSlowModel", name="raise", seconds=0.1)

    @property
    def missing(self) -> Graph:
        """The workflow with a node of a class that the server does not have."""
        return with_source(self.flow, self.source, "NoSuchLoader")


KINDS = (
    Kind("node", {"check_mode": CheckMode.NONE, "node": True}),
    Kind("text", {"check_mode": CheckMode.REPORT}),
    Kind("inspire", {"check_mode": CheckMode.NONE}),
    Kind("history", {"check_mode": CheckMode.NONE, "inspire": False}, STOCK, "1", has_keys=False),
)
