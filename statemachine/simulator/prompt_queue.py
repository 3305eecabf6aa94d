"""The queue and history of one simulated ComfyUI, kept in memory only, as ComfyUI's `PromptQueue` keeps them."""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from statemachine.simulator.nodes import Graph

MAXIMUM_HISTORY_SIZE = 10_000
"""ComfyUI's own bound."""


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
    """`updated` is called after every change, once for each `status` frame that ComfyUI sends."""

    def __init__(self, updated: Callable[[], None]) -> None:
        self.pending: list[Item] = []
        self.running: Item | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self.wake = asyncio.Event()
        """Set when the worker has something to look at."""
        self._updated = updated

    @property
    def remaining(self) -> int:
        return len(self.pending) + (self.running is not None)

    def put(self, item: Item) -> None:
        heapq.heappush(self.pending, item)
        self._updated()
        self.wake.set()

    def take(self) -> Item | None:
        """The next prompt, now running; None when nothing waits."""
        if not self.pending:
            return None
        self.running = heapq.heappop(self.pending)
        self._updated()
        return self.running

    def done(self, item: Item, result: dict[str, Any]) -> None:
        """Move the running prompt to history. A second run under one id replaces the first in its place."""
        self.running = None
        if len(self.history) > MAXIMUM_HISTORY_SIZE:
            self.history.pop(next(iter(self.history)))
        self.history[item.prompt_id] = {"prompt": item.as_json(), **result}
        self._updated()

    def clear(self) -> None:
        self.pending = []
        self._updated()

    def delete(self, prompt_id: str) -> None:
        """Forget one pending prompt. Deleting the last one sends `status` twice [transcript 06]."""
        for item in self.pending:
            if item.prompt_id == prompt_id:
                self._remove(item)
                self._updated()
                return

    def _remove(self, item: Item) -> None:
        if len(self.pending) == 1:
            self.clear()
        else:
            self.pending.remove(item)
            heapq.heapify(self.pending)

    def newest(self, max_items: int | None) -> dict[str, Any]:
        """The newest entries of history, oldest first; all of them for None."""
        ids = list(self.history)
        kept = ids if max_items is None else ids[max(len(ids) - max_items, 0) :][: max(max_items, 1)]
        return {prompt_id: self.history[prompt_id] for prompt_id in kept}
