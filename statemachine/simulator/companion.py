"""comfywarm's node as it runs inside a simulated ComfyUI: GET /cache/check, its frames, and its own cache.

Follows `comfyui_node/` at the top of this repository. The real node looks every 20 ms; this one tells at the change.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from statemachine.simulator.nodes import CACHE_NODE, DROP_NODE, KEEP_NODE, MISSION_KEYS, RIG, Graph
from statemachine.simulator.prompt_queue import PromptQueue

FRAME = "comfywarm.cache"
MAX_KEYS = 200
MAX_KEY_LENGTH = 500
MAX_TOLD_KEYS = 500
MODEL_BYTES = 1_500_000_000
"""What a model takes, for want of a real one."""
WORKFLOW = "cache"
"""The one file in the node's folder: the mission's workflow."""


class Home(Protocol):
    """What the node needs of the process it runs in."""

    keys: dict[str, str]
    queue: PromptQueue

    def send(self, event: str, data: dict[str, Any], client_id: str | None, /) -> None: ...


class BadQuestionError(ValueError):
    """Answered with 400."""


class SimulatedNode:
    """One life of the node. `starts`: it starts the server's own workflow when keys are missing."""

    def __init__(self, home: Home, instance: str, *, starts: bool) -> None:
        self.instance = instance
        self.sequence = 0
        self.kept: dict[str, str] = {}
        """The node's own cache: key → tag. That of Inspire-Pack is the process's."""
        self.losses: Counter[str] = Counter()
        self.models: list[str] = []
        """What ComfyUI's model management has loaded."""
        self._home = home
        self._starts = starts
        self._present: list[str] = []
        self._changes = 0
        self._tried: int | None = None

    # What happens in the process

    def look(self) -> None:
        """Tell what has changed since the last call; called after every change."""
        before, self._present = self._present, sorted({*self.kept, *self._home.keys})
        if self._present != before:
            self._changes += 1
            lost = set(before) - set(self._present)
            self._tell("evicted" if lost and self._present else "cleared" if lost else "loaded")

    def node_worked(self, class_type: str, inputs: Mapping[str, Any], *, loads_model: bool) -> None:
        """A node of a prompt has run."""
        if class_type == KEEP_NODE:
            self.kept[str(inputs["key"])] = str(inputs["tag"])
        if class_type == DROP_NODE:
            self.drop(list(self.kept) if inputs["key"] == "*" else [inputs["key"]])
        if loads_model and class_type != RIG and class_type not in self.models:
            self.models.append(class_type)

    def drop(self, keys: list[str]) -> None:
        """Lose keys of the own cache."""
        for key in keys:
            if self.kept.pop(key, None) is not None:
                self.losses[key] += 1

    def unload(self) -> None:
        """The models leave VRAM; the keys stay."""
        if self.models:
            self.models.clear()
            self._tell("unloaded")

    def _tell(self, change: str) -> None:
        self.sequence += 1
        data = {"comfywarm": 1, "instance": self.instance, "sequence": self.sequence, "change": change}
        data["present"] = self._present[:MAX_TOLD_KEYS]
        truncated = {"truncated": True} if len(self._present) > MAX_TOLD_KEYS else {}
        self._home.send(FRAME, {**data, **truncated}, None)

    # GET /cache/check

    def check(self, query: Mapping[str, str], accept: str, start: Callable[[], object]) -> tuple[int, str, bool]:
        """(status, body, whether it is JSON). `start` queues the server's own workflow."""
        peek = query.get("peek") == "1"
        try:
            wanted = _asked_for(_all(query, "workflow"), _all(query, "key"), peek=peek)
        except BadQuestionError as error:
            return int(HTTPStatus.BAD_REQUEST), json.dumps({"error": str(error)}), True
        missing = [key for key in wanted if key not in self._present]
        sequence, loading = self.sequence, any(self._brings(graph, missing) for graph in self._graphs())
        started = bool(missing) and not peek and self._start(loading, start)
        if "json" not in accept or "text/plain" in accept:
            return int(HTTPStatus.OK), _in_words(missing, started), False
        answer = {
            "comfywarm": 1,
            "instance": self.instance,
            "sequence": sequence,
            "keys": {"present": [key for key in wanted if key in self._present], "missing": missing},
            "held": {"vram": [{"name": name, "bytes": MODEL_BYTES} for name in self.models], "ram": []},
            "loading": loading or started,
            "auto_started": started,
        }
        return int(HTTPStatus.OK), json.dumps(answer), True

    def _start(self, loading: bool, start: Callable[[], object]) -> bool:
        """Whether a start is under way: once for each state of the caches, never while one is queued."""
        if not self._starts or loading:
            return self._starts
        if self._tried == self._changes:
            return False
        self._tried = self._changes
        start()
        self._tell("started")
        return True

    def _graphs(self) -> list[Graph]:
        queue = self._home.queue
        return [item.graph for item in [*([queue.running] if queue.running else []), *queue.pending]]

    @staticmethod
    def _brings(graph: Graph, missing: list[str]) -> bool:
        nodes = [node for node in graph.values() if node["class_type"] in {CACHE_NODE, KEEP_NODE}]
        return any(node["inputs"].get("key") in missing for node in nodes)


def _asked_for(names: list[str], keys: list[str], *, peek: bool) -> list[str]:
    if len(keys) > MAX_KEYS or any(not key or len(key) > MAX_KEY_LENGTH for key in keys):
        raise BadQuestionError(f"at most {MAX_KEYS} keys of 1 to {MAX_KEY_LENGTH} characters can be asked for")
    unknown = [name for name in names if name != WORKFLOW]
    if unknown:
        raise BadQuestionError(f"no workflow {unknown[0]!r}; there are: {WORKFLOW}")
    by_file = names or not (keys or peek)
    return list(dict.fromkeys([*keys, *(MISSION_KEYS if by_file else ())]))


def _all(query: Mapping[str, str], name: str) -> list[str]:
    """Every value of a name: a request's query is a multidict, a test's may be a plain mapping."""
    getall = getattr(query, "getall", None)
    return list(getall(name, [])) if getall else [query[name]] if name in query else []


def _in_words(missing: list[str], started: bool) -> str:
    if not missing:
        return "缓存已加载。"
    keys = ",".join(missing)
    return f"未查询到缓存{keys}，已经自动在后台执行缓存模型工作流。" if started else f"未查询到缓存{keys}。"
