"""One process of a simulated ComfyUI: the state that a restart loses, and the prompt worker."""

import asyncio
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from statemachine.simulator.companion import SimulatedNode
from statemachine.simulator.dialects import Feature, dialect_of
from statemachine.simulator.executor import Executor
from statemachine.simulator.graphs import signature
from statemachine.simulator.jobs import Jobs
from statemachine.simulator.nodes import CACHE_KEYS, CACHE_NODE, Graph, NodeClass, cache_workflow, catalogue
from statemachine.simulator.profiles import Profile
from statemachine.simulator.prompt_queue import Item, PromptQueue

Send = Callable[[str, dict[str, Any], str | None], None]
"""Send a frame (event, data, client_id) to its owner, or to all clients if the id is None."""


class Process:
    """Queue, history, next number, executor and cached keys, from one start of the server to its end."""

    def __init__(
        self,
        profile: Profile,
        scale: float,
        send: Send,
        clock: Callable[[], float],
        on_death: Callable[[], None],
        instance: str | None = None,
    ) -> None:
        """`instance` is the id that comfywarm's node gives this process; None where it is not installed."""
        self.profile = profile
        self.dialect = dialect_of(profile.comfyui)
        self.scale = scale
        self.send = send
        self.classes: Mapping[str, NodeClass] = _classes(profile)
        self.number = 0
        self.worker_alive = True
        """Whether the thread that runs prompts is alive; HTTP does not depend on it."""
        self.keys: dict[str, str] = {}
        """Inspire-Pack's cache: key → tag."""
        self.queue = PromptQueue(lambda: send("status", self.status(), None))
        self.jobs = Jobs(self.queue, self.dialect)
        self.executor = Executor(self)
        starts = profile.text_check == "starts"
        self.companion = SimulatedNode(self, instance, starts=starts) if instance else None
        self._clock = clock
        self._on_death = on_death
        self._free_wanted = False
        self._unload_wanted = False
        self._models_loaded = 0
        self._ineffective_runs = profile.ineffective_runs

    def load_everything(self) -> None:
        """Set the caches as after a successful cache workflow."""
        graph = cache_workflow()
        self.keys = dict.fromkeys(CACHE_KEYS, "model")
        if self.companion:
            self.companion.levels = dict.fromkeys(CACHE_KEYS, "ram")
        self.executor.cache = {signature(graph, node_id) for node_id in graph}
        self._keys_changed()

    @property
    def best_level(self) -> str:
        """Where ComfyUI puts a model that it is to load: its memory may be too small for VRAM."""
        return "ram" if self.profile.small_memory else "vram"

    @property
    def losses(self) -> Mapping[str, int]:
        """How often comfywarm's node lost each key."""
        return self.companion.losses if self.companion else {}

    def status(self) -> dict[str, Any]:
        return {"status": {"exec_info": {"queue_remaining": self.queue.remaining}}}

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    @property
    def scratch_bytes(self) -> int:
        """Memory of the device that the running prompt uses at the moment; it changes all the time."""
        return 1 + self.now_ms() % 1_000_000 if self._runs else 0

    @property
    def activity(self) -> dict[str, Any]:
        """What comfywarm's node reports of the worker: its processor time, as if it had always worked, and its step."""
        return {"cpu_s": self.now_ms() / 1000 if self._runs else 0.0, "step": ""}

    @property
    def _runs(self) -> bool:
        return self.worker_alive and self.executor.current_run is not None and self.executor.may_run.is_set()

    def take_number(self) -> int:
        self.number += 1
        return self.number - 1

    def enqueue(self, graph: Graph, prompt_id: str, extra: dict[str, Any]) -> str:
        """Queue a graph with all its outputs, without HTTP; return the prompt_id."""
        outputs = [node_id for node_id, node in graph.items() if self.classes[node["class_type"]].is_output]
        self.queue.put(Item(self.take_number(), prompt_id, graph, self.stamped(extra), outputs))
        return prompt_id

    def stamped(self, extra: dict[str, Any]) -> dict[str, Any]:
        """Return extra_data as the queue keeps it."""
        return {**extra, "create_time": self.now_ms()} if self.dialect.has(Feature.CREATE_TIME) else dict(extra)

    def drop_keys(self, *, keep_executor: bool) -> None:
        if self.companion:
            self.companion.drop(list(self.companion.kept))
        self.clear_inspire()
        if not keep_executor:
            self.executor.cache.clear()

    def clear_inspire(self) -> None:
        """Drop the keys of Inspire-Pack's cache; the executor keeps its nodes."""
        self.keys.clear()
        self._keys_changed()

    def ask_to_free(self, *, models: bool, executor_cache: bool) -> None:
        """Let the worker carry out POST /free before its next prompt."""
        self._free_wanted = self._free_wanted or executor_cache
        self._unload_wanted = self._unload_wanted or models or executor_cache
        self.queue.wake.set()

    def node_worked(self, node: NodeClass, inputs: Mapping[str, Any], sources: list[str]) -> None:
        if node.name == CACHE_NODE:
            self.keys[str(inputs["key"])] = str(inputs["tag"])
        if self.companion:
            self.companion.node_worked(node.name, inputs, loads_model=node.loads_model, sources=sources)
        self._keys_changed()

    def _keys_changed(self) -> None:
        if self.companion:
            self.companion.send_changes()

    def node_finished(self, loaded_model: bool) -> None:
        self._models_loaded += loaded_model
        if loaded_model and self._models_loaded == self.profile.stall_after_models:
            self.executor.may_run.clear()

    def out_of_memory(self) -> None:
        self.drop_keys(keep_executor=False)

    async def die(self) -> None:
        """End as under the kernel's out-of-memory killer: nothing is sent, and this never returns."""
        self._on_death()
        await asyncio.Event().wait()

    async def work(self) -> None:
        """Run queued prompts one at a time until cancelled."""
        while True:
            await self.queue.wake.wait()
            self.queue.wake.clear()
            while item := self.queue.take():
                await self._run(item)
                self._free()
            self._free()

    async def _run(self, item: Item) -> None:
        keys_before = set(self.keys)
        result = await self.executor.run(item)
        await asyncio.sleep(self.profile.history_lag * self.scale)
        if self._ineffective_runs and set(self.keys) - keys_before:
            self._ineffective_runs -= 1
            self.drop_keys(keep_executor=True)
        self.queue.done(item, result)
        client_id = item.extra_data.get("client_id")
        if client_id is not None:
            self.send("executing", {"node": None, "prompt_id": item.prompt_id}, client_id)

    def _free(self) -> None:
        if self._free_wanted:
            self.executor.cache.clear()
        if self._unload_wanted and self.companion:
            self.companion.unload()
        self._free_wanted = self._unload_wanted = False


@lru_cache(maxsize=64)
def _classes(profile: Profile) -> Mapping[str, NodeClass]:
    return catalogue(
        profile.missing_classes,
        model_files=profile.model_files,
        strict_cache_node=profile.strict_cache_node,
        companion=profile.companion,
    )
