"""Simulate comfywarm's node in ComfyUI: GET /cache/check, the node's frames and its own cache.

Follows `comfyui_node/` at the top of this repository. The real node polls every 20 ms; this one sends a frame
immediately after each change.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol

from statemachine.simulator.nodes import CACHE_KEYS, CACHE_NODE, DROP_NODE, KEEP_NODE, LOAD_NODE, RIG, Graph
from statemachine.simulator.prompt_queue import PromptQueue

RELEASE = "0.1.0"
FRAME = "comfywarm.cache"
MAX_KEYS = 200
MAX_KEY_LENGTH = 500
MAX_SENT_KEYS = 500
"""Keys in one frame; a longer list is cut and marked `truncated`."""
MODEL_BYTES = 1_500_000_000
"""Assumed size of each model."""
LEVELS = ("key", "ram", "vram")
"""Where a model may be, slowest first."""
WORKFLOW = "cache"
"""The only file in the node's folder: the cache workflow."""


class NodeHost(Protocol):
    """The process that the node runs in."""

    keys: dict[str, str]
    queue: PromptQueue
    worker_alive: bool

    @property
    def activity(self) -> dict[str, Any]: ...

    @property
    def best_level(self) -> str: ...

    def send(self, event: str, data: dict[str, Any], client_id: str | None, /) -> None: ...


class BadQueryError(ValueError):
    """A query that is refused with 400."""


class SimulatedNode:
    """The node from one start of ComfyUI to its end."""

    def __init__(self, host: NodeHost, instance: str, *, starts: bool) -> None:
        """`starts`: the node starts the server's own workflow when keys are missing."""
        self.instance = instance
        self.sequence = 0
        self.kept: dict[str, str] = {}
        """The node's own cache, key → tag. The process has Inspire-Pack's."""
        self.losses: Counter[str] = Counter()
        self.models: list[str] = []
        """Models that ComfyUI's model management has loaded."""
        self.levels: dict[str, str] = {}
        """Where the model of each key is: `key` is neither RAM nor VRAM. Keys without a managed model are left out."""
        self._host = host
        self._starts = starts
        self._present: list[str] = []
        self._changes = 0
        self._started_at_change: int | None = None

    # Called by the process

    def send_changes(self) -> None:
        """Send a frame if the set of keys has changed since the last call."""
        before, self._present = self._present, sorted({*self.kept, *self._host.keys})
        if self._present != before:
            self._changes += 1
            lost = set(before) - set(self._present)
            self._send("evicted" if lost and self._present else "cleared" if lost else "loaded")

    def node_worked(
        self, class_type: str, inputs: Mapping[str, Any], *, loads_model: bool, sources: Sequence[str] = ()
    ) -> None:
        """Record that a node of a prompt has run. `sources` are the classes that its `data` has come through."""
        if class_type == KEEP_NODE:
            self.kept[str(inputs["key"])] = str(inputs["tag"])
        if class_type in {CACHE_NODE, KEEP_NODE} and sources and sources[-1] != RIG:
            self.levels[str(inputs["key"])] = self._host.best_level if LOAD_NODE in sources else "ram"
        if class_type == DROP_NODE:
            self.drop(list(self.kept) if inputs["key"] == "*" else [inputs["key"]])
        if loads_model and class_type != RIG and class_type not in self.models:
            self.models.append(class_type)

    def drop(self, keys: list[str]) -> None:
        """Remove keys from the node's own cache."""
        for key in keys:
            if self.kept.pop(key, None) is not None:
                self.losses[key] += 1

    def unload(self, level: str = "ram") -> None:
        """Move the models out of memory, down to `level`; the keys stay."""
        lowered = {key: min(found, level, key=LEVELS.index) for key, found in self.levels.items()}
        if self.models or lowered != self.levels:
            self.models.clear()
            self.levels = lowered
            self._send("unloaded")

    def reload(self) -> None:
        """Move the models back into memory, as a job that uses them does."""
        self.levels = dict.fromkeys(self.levels, self._host.best_level)
        self._send("levels")

    def _levels_of(self, keys: list[str]) -> dict[str, dict[str, str]]:
        return {key: {"level": self.levels[key], "highest": "vram"} for key in keys if key in self.levels}

    def _send(self, change: str) -> None:
        self.sequence += 1
        data: dict[str, Any] = {"comfywarm": 1, "instance": self.instance, "sequence": self.sequence, "change": change}
        data["present"] = self._present[:MAX_SENT_KEYS]
        if len(self._present) > MAX_SENT_KEYS:
            data["truncated"] = True
        if levels := self._levels_of(self._present[:MAX_SENT_KEYS]):
            data["levels"] = levels
        self._host.send(FRAME, data, None)

    # GET /cache/check

    def check(self, query: Mapping[str, str], accept: str, start: Callable[[], object]) -> tuple[int, str, bool]:
        """Return (status, body, whether it is JSON). `start` queues the server's own workflow."""
        peek = query.get("peek") == "1"
        try:
            wanted = _wanted_keys(_all(query, "workflow"), _all(query, "key"), peek=peek)
        except BadQueryError as error:
            return int(HTTPStatus.BAD_REQUEST), json.dumps({"error": str(error)}), True
        missing = [key for key in wanted if key not in self._present]
        sequence, loading = self.sequence, any(self._stores_any(graph, missing) for graph in self._graphs())
        started = bool(missing) and not peek and self._start(loading, start)
        if "json" not in accept or "text/plain" in accept:
            return int(HTTPStatus.OK), _as_text(missing, started), False
        report = {
            "comfywarm": 1,
            "release": RELEASE,
            "instance": self.instance,
            "sequence": sequence,
            "keys": {"present": [key for key in wanted if key in self._present], "missing": missing},
            "levels": self._levels_of([key for key in wanted if key in self._present]),
            "held": {"vram": [{"name": name, "bytes": MODEL_BYTES} for name in self.models], "ram": []},
            "loading": loading or started,
            "auto_started": started,
            "worker_alive": self._host.worker_alive,
        }
        if peek:
            report["activity"] = self._host.activity
        return int(HTTPStatus.OK), json.dumps(report), True

    def _start(self, loading: bool, start: Callable[[], object]) -> bool:
        """Start the own workflow at most once per state of the caches; return whether a start is under way."""
        if not self._starts or loading:
            return self._starts
        if self._started_at_change == self._changes:
            return False
        self._started_at_change = self._changes
        start()
        self._send("started")
        return True

    def _graphs(self) -> list[Graph]:
        queue = self._host.queue
        return [item.graph for item in [*([queue.running] if queue.running else []), *queue.pending]]

    @staticmethod
    def _stores_any(graph: Graph, missing: list[str]) -> bool:
        nodes = [node for node in graph.values() if node["class_type"] in {CACHE_NODE, KEEP_NODE}]
        return any(node["inputs"].get("key") in missing for node in nodes)


def _wanted_keys(names: list[str], keys: list[str], *, peek: bool) -> list[str]:
    if len(keys) > MAX_KEYS or any(not key or len(key) > MAX_KEY_LENGTH for key in keys):
        raise BadQueryError(f"at most {MAX_KEYS} keys of 1 to {MAX_KEY_LENGTH} characters can be asked for")
    unknown = [name for name in names if name != WORKFLOW]
    if unknown:
        raise BadQueryError(f"no workflow {unknown[0]!r}; there are: {WORKFLOW}")
    by_file = names or not (keys or peek)
    return list(dict.fromkeys([*keys, *(CACHE_KEYS if by_file else ())]))


def _all(query: Mapping[str, str], name: str) -> list[str]:
    """Return every value of a name; `query` is a multidict, or a plain mapping in tests."""
    getall = getattr(query, "getall", None)
    return list(getall(name, [])) if getall else [query[name]] if name in query else []


def _as_text(missing: list[str], started: bool) -> str:
    if not missing:
        return "缓存已加载。"
    keys = ",".join(missing)
    return f"未查询到缓存{keys}，已经自动在后台执行缓存模型工作流。" if started else f"未查询到缓存{keys}。"
