"""How one simulated ComfyUI runs a prompt: order of nodes, cache, frames and who hears them.

Follows `PromptExecutor` of ComfyUI 0.3.75 with its classic cache, which keeps the nodes of the last prompt only.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from statemachine.simulator.nodes import DROP_NODE, IMAGE_OUTPUTS, KEEP_NODE, RIG, Graph, NodeClass
from statemachine.simulator.profiles import Failure, Persona
from statemachine.simulator.prompt_queue import Item

Messages = list[list[Any]]
RIG_FAILURES = {
    "explode": Failure("RuntimeError", "CUDA out of memory (rig)\n"),
    "raise": Failure("ValueError", "rig: asked to raise\n"),
}


class InterruptError(Exception):
    """POST /interrupt was noticed."""


class NodeError(Exception):
    """A node raised."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Stage(Protocol):
    """What the executor needs of its server."""

    persona: Persona
    scale: float
    classes: Mapping[str, NodeClass]

    @property
    def losses(self) -> Mapping[str, int]: ...

    def node_worked(self, node: NodeClass, inputs: Mapping[str, Any]) -> None: ...

    def now_ms(self) -> int: ...

    def send(self, event: str, data: dict[str, Any], client_id: str | None) -> None: ...

    def node_finished(self, loaded_model: bool) -> None: ...

    def out_of_memory(self) -> None: ...


@dataclass
class Run:
    """One prompt being executed."""

    item: Item
    client_id: str | None
    messages: Messages = field(default_factory=list)
    progress: dict[str, dict[str, Any]] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    node_id: str = ""

    def result(self) -> dict[str, Any]:
        """As history has it. An interrupt reads "error" as well; only `messages` tells [transcript 05]."""
        success = self.messages[-1][0] == "execution_success"
        status = {
            "status_str": "success" if success else "error",
            "completed": success,
            "messages": self.messages,
        }
        return {"outputs": self.outputs, "status": status, "meta": self.meta}


class Executor:
    """Runs one prompt at a time and remembers the signatures of the nodes of the last one."""

    def __init__(self, stage: Stage) -> None:
        self.cache: set[str] = set()
        self.run_now: Run | None = None
        self.interrupting = False
        self.may_run = asyncio.Event()
        self.may_run.set()
        self._stage = stage

    async def run(self, item: Item) -> dict[str, Any]:
        """Execute a prompt to its end and return its history entry. Never raises for what a node does."""
        self.interrupting = False
        run = self.run_now = Run(item, item.extra_data.get("client_id"))
        self._message(run, "execution_start", {})
        signatures = {node_id: signature(item.graph, node_id, self._stage.losses) for node_id in item.graph}
        self.cache &= set(signatures.values())
        cached = [
            node_id
            for node_id, node in item.graph.items()
            if signatures[node_id] in self.cache and node["class_type"] != DROP_NODE
        ]
        self._message(run, "execution_cached", {"nodes": cached})
        try:
            for node_id in execution_order(item, cached, self._is_output(item.graph)):
                await self._node(run, node_id, is_cached=node_id in cached)
                self.cache.add(signatures[node_id])
        except InterruptError:
            self._message(run, "execution_interrupted", self._where(run), broadcast=True)
        except NodeError as cause:
            self._fail(run, cause.failure)
        else:
            self._message(run, "execution_success", {})
        self.run_now = None
        return run.result()

    async def _node(self, run: Run, node_id: str, *, is_cached: bool) -> None:
        run.node_id = node_id
        if is_cached:
            self._to_owner(run, "executed", {"node": node_id, "display_node": node_id, "output": None})
            self._progress(run, 1, 1, "finished")
            return
        self._progress(run, 0.0, 1.0, "running")
        self._to_owner(run, "executing", {"node": node_id, "display_node": node_id})
        await self._pause(0)
        node = run.item.graph[node_id]
        await self._work(run, self._stage.classes[node["class_type"]], node["inputs"])
        run.executed.append(node_id)
        entry = run.progress[node_id]
        self._progress(run, entry["max"], entry["max"], "finished")
        self._stage.node_finished(self._stage.classes[node["class_type"]].loads_model)

    async def _work(self, run: Run, node: NodeClass, inputs: dict[str, Any]) -> None:
        if node.name == RIG and inputs["name"] in RIG_FAILURES:
            raise NodeError(RIG_FAILURES[inputs["name"]])
        if node.loads_model:
            await self._load(run, node, inputs)
        self._stage.node_worked(node, inputs)
        if node.name in IMAGE_OUTPUTS:
            self._show_image(run, node)

    async def _load(self, run: Run, node: NodeClass, inputs: dict[str, Any]) -> None:
        persona = self._stage.persona
        seconds = inputs["seconds"] if node.name == RIG else persona.load_seconds * self._stage.scale
        steps = node.progress_steps or 1
        for step in range(1, steps + 1):
            await self._pause(seconds / steps)
            if node.progress_steps:
                self._progress(run, step, steps, "running")
                data = {"value": step, "max": steps, "prompt_id": run.item.prompt_id, "node": run.node_id}
                self._stage.send("progress", data, run.client_id)
        if persona.failure:
            raise NodeError(persona.failure)

    async def _pause(self, seconds: float) -> None:
        """Take time; afterwards stand still while stalled, and notice an interrupt."""
        await asyncio.sleep(seconds)
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
        """Owner only; everyone when there is no owner [transcript 03]. Nodes that ran stay in the frame."""
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
        self._stage.send("progress_state", data, run.client_id)

    def _fail(self, run: Run, failure: Failure) -> None:
        inputs = run.item.graph[run.node_id]["inputs"]
        details = {
            "exception_message": failure.message,
            "exception_type": failure.exception_type,
            "traceback": ['  File "execution.py", line 286, in process_inputs\n    result = f(**inputs)\n'],
            "current_inputs": {name: [value] for name, value in inputs.items() if not isinstance(value, list)},
            "current_outputs": list(run.item.graph),
        }
        self._message(run, "execution_error", {**self._where(run), **details})
        if failure.out_of_memory:
            self._stage.out_of_memory()

    def _where(self, run: Run) -> dict[str, Any]:
        node_type = run.item.graph[run.node_id]["class_type"]
        return {"node_id": run.node_id, "node_type": node_type, "executed": run.executed}

    def _message(self, run: Run, event: str, data: dict[str, Any], *, broadcast: bool = False) -> None:
        """A frame that history keeps as well; without an owner nobody hears it, unless it is `broadcast`."""
        stamped = {**data, "prompt_id": run.item.prompt_id, "timestamp": self._stage.now_ms()}
        run.messages.append([event, stamped])
        if run.client_id is not None or broadcast:
            self._stage.send(event, stamped, run.client_id)

    def _to_owner(self, run: Run, event: str, data: dict[str, Any]) -> None:
        if run.client_id is not None:
            self._stage.send(event, {**data, "prompt_id": run.item.prompt_id}, run.client_id)

    def _is_output(self, graph: Graph) -> Callable[[str], bool]:
        return lambda node_id: self._stage.classes[graph[node_id]["class_type"]].is_output


def signature(graph: Graph, node_id: str, losses: Mapping[str, int] = MappingProxyType({})) -> str:
    """What makes two nodes the same to the cache: class and inputs, and those of all ancestors; never the id.

    The node of comfywarm that keeps a key adds how often that was lost (its IS_CHANGED).
    """
    node = graph[node_id]
    inputs = [("", str(losses.get(node["inputs"]["key"], 0)))] if node["class_type"] == KEEP_NODE else []
    for name, value in sorted(node.get("inputs", {}).items()):
        linked = isinstance(value, list) and len(value) == 2 and value[0] in graph  # noqa: PLR2004 - [node, slot]
        inputs.append((name, f"{signature(graph, value[0], losses)}#{value[1]}" if linked else repr(value)))
    return f"{node['class_type']}{inputs}"


def execution_order(item: Item, cached: list[str], is_output: Callable[[str], bool]) -> list[str]:
    """The wanted outputs and the ancestors that they need, none behind a cached node.

    Of the nodes that are ready ComfyUI runs an output first, then one that feeds an output, then the oldest.
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
