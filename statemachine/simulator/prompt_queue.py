"""The queue and history of one simulated ComfyUI, in memory only, as in ComfyUI's `PromptQueue`."""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from statemachine.simulator.nodes import Graph

MAXIMUM_HISTORY_SIZE = 10_000
"""The limit of ComfyUI."""


@dataclass
class Item:
    """One prompt in the queue. Lower numbers run first; `front` makes a number negative."""

    number: float
    prompt_id: str
    graph: Graph
    extra_data: dict[str, Any]
    outputs: list[str]

    def __lt__(self, other: "Item") -> bool:
        return (self.number, self.prompt_id) < (other.number, other.prompt_id)

    def as_json(self) -> list[Any]:
        return [self.number, self.prompt_id, self.graph, self.extra_data, self.outputs]


class PromptQueue:
    """Pending and running prompts and the history of finished ones."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        """`on_change` is called once for each `status` frame that ComfyUI sends."""
        self.pending: list[Item] = []
        self.running: Item | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self.wake = asyncio.Event()
        """Set when the worker has work to do."""
        self._on_change = on_change
        self._is_paused = False

    @property
    def remaining(self) -> int:
        return len(self.pending) + (self.running is not None)

    def put(self, item: Item) -> None:
        heapq.heappush(self.pending, item)
        self._on_change()
        self.wake.set()

    def pause(self) -> None:
        """Start no further prompt, as a queue plug-in does on request."""
        self._is_paused = True

    def unpause(self) -> None:
        self._is_paused = False
        self.wake.set()

    def take(self) -> Item | None:
        """Start the next prompt and return it; None if none is pending or the queue is paused."""
        if not self.pending or self._is_paused:
            return None
        self.running = heapq.heappop(self.pending)
        self._on_change()
        return self.running

    def done(self, item: Item, result: dict[str, Any]) -> None:
        """Move the running prompt to history. A second run of the same id replaces the first entry in place."""
        self.running = None
        if len(self.history) > MAXIMUM_HISTORY_SIZE:
            self.history.pop(next(iter(self.history)))
        self.history[item.prompt_id] = {"prompt": item.as_json(), **result}
        self._on_change()

    def clear(self) -> None:
        self.pending = []
        self._on_change()

    def delete(self, prompt_id: str) -> bool:
        """Delete one pending prompt; return whether it was found. The last one sends `status` twice [transcript 06]."""
        for item in self.pending:
            if item.prompt_id == prompt_id:
                self._remove(item)
                self._on_change()
                return True
        return False

    def _remove(self, item: Item) -> None:
        if len(self.pending) == 1:
            self.clear()
        else:
            self.pending.remove(item)
            heapq.heapify(self.pending)

    def newest(self, max_items: int | None) -> dict[str, Any]:
        """Return the newest entries of history, oldest first; all of them for None."""
        ids = list(self.history)
        kept = ids if max_items is None else ids[max(len(ids) - max_items, 0) :][: max(max_items, 1)]
        return {prompt_id: self.history[prompt_id] for prompt_id in kept}
