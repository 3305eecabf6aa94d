"""Run prompts as ComfyUI does: the order of nodes, the cache, and the frames with their recipients.

Follows `PromptExecutor` of ComfyUI 0.3.75 with its classic cache, which keeps only the nodes of the last prompt.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from statemachine.simulator.dialects import Dialect, Feature
from statemachine.simulator.graphs import execution_order, signature, sources_of
from statemachine.simulator.nodes import DROP_NODE, IMAGE_OUTPUTS, LOAD_NODE, RIG, Graph, NodeClass
from statemachine.simulator.profiles import Failure, Profile
from statemachine.simulator.prompt_queue import Item

Messages = list[list[Any]]
THROTTLE_S = 0.1
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
    dialect: Dialect
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
    last_step_at: float = 0.0

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
            if node.progress_steps and self._shows_step(run, step, steps):
                self._progress(run, step, steps, "running")
                self._send_step(run, step, steps)
        if profile.failure:
            raise NodeError(profile.failure)

    def _shows_step(self, run: Run, step: int, steps: int) -> bool:
        """Return whether the version sends this step: newer ones skip most between the first and the last."""
        now = asyncio.get_running_loop().time()
        every = THROTTLE_S if self._host.dialect.has(Feature.THROTTLED_PROGRESS) else 0.0
        if step not in {1, steps} and now - run.last_step_at < every:
            return False
        run.last_step_at = now
        return True

    def _send_step(self, run: Run, step: int, steps: int) -> None:
        """Send one step of a node. Old versions do not name the node of a prompt without an owner."""
        named = run.client_id is not None or self._host.dialect.has(Feature.PROGRESS_STATE)
        node = run.node_id if named else None
        data = {"value": step, "max": steps, "prompt_id": run.item.prompt_id, "node": node}
        self._host.send("progress", data, run.client_id)

    async def _pause(self, run: Run, seconds: float) -> None:
        """Sleep, then wait while the worker is stalled.

        Raises InterruptError if an interrupt is pending.
        """
        await asyncio.sleep(seconds)
        while (talks_every := self._host.profile.talks_every) is not None and not self.may_run.is_set():
            self._send_progress(run)
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
        self._send_progress(run)

    def _send_progress(self, run: Run) -> None:
        if self._host.dialect.has(Feature.PROGRESS_STATE):
            data = {"prompt_id": run.item.prompt_id, "nodes": run.progress}
            self._host.send("progress_state", data, run.client_id)

    def _fail(self, run: Run, failure: Failure) -> None:
        inputs = run.item.graph[run.node_id]["inputs"]
        tips = self._host.dialect.has(Feature.ERROR_TIPS)
        details = {
            "exception_message": failure.message if tips else failure.message.partition("\n")[0],
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
