"""Run prompts as ComfyUI does: the order of nodes, the cache, and the frames with their recipients.

Follows `PromptExecutor` of ComfyUI 0.3.75 with its classic cache, which keeps only the nodes of the last prompt.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from statemachine.simulator.nodes import DROP_NODE, IMAGE_OUTPUTS, KEEP_NODE, LOAD_NODE, RIG, Graph, NodeClass
from statemachine.simulator.profiles import Failure, Profile
from statemachine.simulator.prompt_queue import Item

Messages = list[list[Any]]
RIG_FAILURES = {
    "explode": Failure("RuntimeError", "CUDA out of memory (rig)\n"),
    "raise": Failure("ValueError", "rig: asked to raise\n"),
}


class InterruptError(Exception):
    """Raised in the running prompt after POST /interrupt."""


class NodeError(Exception):
    """An exception of a node."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class ExecutorHost(Protocol):
    """The process that the executor runs in."""

    profile: Profile
    scale: float
    classes: Mapping[str, NodeClass]

    @property
    def losses(self) -> Mapping[str, int]: ...

    def node_worked(self, node: NodeClass, inputs: Mapping[str, Any], sources: list[str]) -> None: ...

    def now_ms(self) -> int: ...

    def send(self, event: str, data: dict[str, Any], client_id: str | None) -> None: ...

    def node_finished(self, loaded_model: bool) -> None: ...

    def out_of_memory(self) -> None: ...

    async def die(self) -> None: ...


@dataclass
class Run:
    """One prompt during its execution."""

    item: Item
    client_id: str | None
    messages: Messages = field(default_factory=list)
    progress: dict[str, dict[str, Any]] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    node_id: str = ""

    def result(self) -> dict[str, Any]:
        """Return the history entry.

        An interrupt has the status "error" too; only `messages` differ [transcript 05].
        """
        success = self.messages[-1][0] == "execution_success"
        status = {
            "status_str": "success" if success else "error",
            "completed": success,
            "messages": self.messages,
        }
        return {"outputs": self.outputs, "status": status, "meta": self.meta}


class Executor:
    """Run one prompt at a time and cache the signatures of the last prompt's nodes."""

    def __init__(self, host: ExecutorHost) -> None:
        self.cache: set[str] = set()
        self.current_run: Run | None = None
        self.interrupting = False
        self.may_run = asyncio.Event()
        self.may_run.set()
        self._host = host

    async def run(self, item: Item) -> dict[str, Any]:
        """Execute a prompt and return its history entry; an exception of a node goes into the entry."""
        self.interrupting = False
        run = self.current_run = Run(item, item.extra_data.get("client_id"))
        self._message(run, "execution_start", {})
        signatures = {node_id: signature(item.graph, node_id, self._host.losses) for node_id in item.graph}
        self.cache &= set(signatures.values())
        cached = [
            node_id
            for node_id, node in item.graph.items()
            if signatures[node_id] in self.cache and node["class_type"] != DROP_NODE
            if LOAD_NODE not in sources_of(item.graph, node_id)
        ]
        self._message(run, "execution_cached", {"nodes": cached})
        try:
            for node_id in execution_order(item, cached, self._is_output(item.graph)):
                await self._node(run, node_id, is_cached=node_id in cached)
                self.cache.add(signatures[node_id])
        except InterruptError:
            self._message(run, "execution_interrupted", self._position(run), broadcast=True)
        except NodeError as cause:
            self._fail(run, cause.failure)
        else:
            self._message(run, "execution_success", {})
        self.current_run = None
        return run.result()

    async def _node(self, run: Run, node_id: str, *, is_cached: bool) -> None:
        run.node_id = node_id
        if is_cached:
            self._to_owner(run, "executed", {"node": node_id, "display_node": node_id, "output": None})
            self._progress(run, 1, 1, "finished")
            return
        self._progress(run, 0.0, 1.0, "running")
        self._to_owner(run, "executing", {"node": node_id, "display_node": node_id})
        await self._pause(run, 0)
        node = run.item.graph[node_id]
        await self._work(run, self._host.classes[node["class_type"]], node["inputs"])
        run.executed.append(node_id)
        entry = run.progress[node_id]
        self._progress(run, entry["max"], entry["max"], "finished")
        self._host.node_finished(self._host.classes[node["class_type"]].loads_model)

    async def _work(self, run: Run, node: NodeClass, inputs: dict[str, Any]) -> None:
        if node.name == RIG and inputs["name"] in RIG_FAILURES:
            raise NodeError(RIG_FAILURES[inputs["name"]])
        if node.loads_model:
            await self._load(run, node, inputs)
        self._host.node_worked(node, inputs, sources_of(run.item.graph, run.node_id)[1:])
        if node.name in IMAGE_OUTPUTS:
            self._show_image(run, node)

    async def _load(self, run: Run, node: NodeClass, inputs: dict[str, Any]) -> None:
        profile = self._host.profile
        if profile.dies_loading:
            await self._host.die()
        seconds = inputs["seconds"] if node.name == RIG else profile.load_seconds * self._host.scale
        steps = node.progress_steps or 1
        for step in range(1, steps + 1):
            await self._pause(run, seconds / steps)
            if node.progress_steps:
                self._progress(run, step, steps, "running")
                data = {"value": step, "max": steps, "prompt_id": run.item.prompt_id, "node": run.node_id}
                self._host.send("progress", data, run.client_id)
        if profile.failure:
            raise NodeError(profile.failure)

    async def _pause(self, run: Run, seconds: float) -> None:
        """Sleep, then wait while the worker is stalled.

        Raises InterruptError if an interrupt is pending.
        """
        await asyncio.sleep(seconds)
        while (talks_every := self._host.profile.talks_every) is not None and not self.may_run.is_set():
            self._host.send("progress_state", {"prompt_id": run.item.prompt_id, "nodes": run.progress}, run.client_id)
            await asyncio.sleep(talks_every * self._host.scale)
        await self.may_run.wait()
        if self.interrupting:
            self.interrupting = False
            raise InterruptError

    def _show_image(self, run: Run, node: NodeClass) -> None:
        kind = "temp" if node.name == "PreviewImage" else "output"
        image = {"filename": f"ComfyUI_{run.item.number:05}_.png", "subfolder": "", "type": kind}
        ids = {"node_id": run.node_id, "display_node": run.node_id, "real_node_id": run.node_id}
        run.outputs[run.node_id] = {"images": [image]}
        run.meta[run.node_id] = {**ids, "parent_node": None}
        data = {"node": run.node_id, "display_node": run.node_id, "output": {"images": [image]}}
        self._to_owner(run, "executed", data)

    def _progress(self, run: Run, value: float, maximum: float, state: str) -> None:
        """Send the progress of every node so far to the owner; without one, to all clients [transcript 03]."""
        run.progress[run.node_id] = {
            "value": value,
            "max": maximum,
            "state": state,
            "node_id": run.node_id,
            "prompt_id": run.item.prompt_id,
            "display_node_id": run.node_id,
            "parent_node_id": None,
            "real_node_id": run.node_id,
        }
        data = {"prompt_id": run.item.prompt_id, "nodes": run.progress}
        self._host.send("progress_state", data, run.client_id)

    def _fail(self, run: Run, failure: Failure) -> None:
        inputs = run.item.graph[run.node_id]["inputs"]
        details = {
            "exception_message": failure.message,
            "exception_type": failure.exception_type,
            "traceback": ['  File "execution.py", line 286, in process_inputs\n    result = f(**inputs)\n'],
            "current_inputs": {name: [value] for name, value in inputs.items() if not isinstance(value, list)},
            "current_outputs": list(run.item.graph),
        }
        self._message(run, "execution_error", {**self._position(run), **details})
        if failure.out_of_memory:
            self._host.out_of_memory()

    def _position(self, run: Run) -> dict[str, Any]:
        node_type = run.item.graph[run.node_id]["class_type"]
        return {"node_id": run.node_id, "node_type": node_type, "executed": run.executed}

    def _message(self, run: Run, event: str, data: dict[str, Any], *, broadcast: bool = False) -> None:
        """Send a frame that history keeps too. Without an owner it is sent only if `broadcast`."""
        stamped = {**data, "prompt_id": run.item.prompt_id, "timestamp": self._host.now_ms()}
        run.messages.append([event, stamped])
        if run.client_id is not None or broadcast:
            self._host.send(event, stamped, run.client_id)

    def _to_owner(self, run: Run, event: str, data: dict[str, Any]) -> None:
        if run.client_id is not None:
            self._host.send(event, {**data, "prompt_id": run.item.prompt_id}, run.client_id)

    def _is_output(self, graph: Graph) -> Callable[[str], bool]:
        return lambda node_id: self._host.classes[graph[node_id]["class_type"]].is_output


def signature(graph: Graph, node_id: str, losses: Mapping[str, int] = MappingProxyType({})) -> str:
    """Return the node's cache key: its class, its inputs and those of its ancestors, without ids.

    comfywarm's node that keeps a key adds how often that key was lost, like its IS_CHANGED.
    """
    node = graph[node_id]
    inputs = [("", str(losses.get(node["inputs"]["key"], 0)))] if node["class_type"] == KEEP_NODE else []
    for name, value in sorted(node.get("inputs", {}).items()):
        linked = isinstance(value, list) and len(value) == 2 and value[0] in graph  # noqa: PLR2004 - [node, slot]
        inputs.append((name, f"{signature(graph, value[0], losses)}#{value[1]}" if linked else repr(value)))
    return f"{node['class_type']}{inputs}"


def sources_of(graph: Graph, node_id: str) -> list[str]:
    """Return the class of the node and of those that its input `data` comes through, nearest first."""
    found: list[str] = []
    while node_id in graph and len(found) < len(graph):
        found.append(graph[node_id]["class_type"])
        data = graph[node_id]["inputs"].get("data")
        node_id = data[0] if isinstance(data, list) and data else ""
    return found


def execution_order(item: Item, cached: list[str], is_output: Callable[[str], bool]) -> list[str]:
    """Return the ids of the outputs and their ancestors in run order.

    Nodes that only feed a cached node are left out.
    Of the ready nodes, ComfyUI runs an output first, then one that feeds an output, then the oldest.
    """
    needs: dict[str, set[str]] = {}
    to_visit = list(reversed(item.outputs))
    while to_visit:
        node_id = to_visit.pop()
        if node_id in needs:
            continue
        links = () if node_id in cached else _links(item.graph, node_id)
        needs[node_id] = {link for link in links if link not in cached}
        to_visit += needs[node_id]
    order: list[str] = []
    while len(order) < len(needs):
        ready = [each for each in needs if each not in order and needs[each].issubset(order)]
        feeds = [each for each in ready if any(each in needs[o] for o in filter(is_output, needs))]
        order.append(next(filter(is_output, ready), (feeds or ready)[0]))
    return order


def _links(graph: Graph, node_id: str) -> list[str]:
    values = graph[node_id]["inputs"].values()
    return [value[0] for value in values if isinstance(value, list)]
