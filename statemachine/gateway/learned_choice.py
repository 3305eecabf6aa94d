"""The choice by what was learned: which models a graph needs, where they are, and how long loads and runs take."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override

from statemachine.gateway.fleet_view import Candidate, Choice, Chooser, rank, warmest_first
from statemachine.routing.fleet import RoutedFleet

MODEL_FILES = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".gguf", ".onnx")
"""Ends of the names of model files, in the inputs of any node class."""
MAX_MODELS = 100
MAX_FOREIGN = 200
"""Prompts of others on a server that are counted."""


def models_in(graph: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the model files that a graph names, None if it names none."""
    return frozenset(sorted(_model_files(graph))[:MAX_MODELS]) or None


class LearnedChoice(Chooser):
    """Prefers the server with the least expected finish among the warmest. `now` returns seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._fleet = RoutedFleet()
        self._foreign: dict[str, int] = {}
        """How many prompts of others are counted on each server."""

    @override
    def choose(self, graph: Mapping[str, Any], candidates: Sequence[Candidate]) -> Choice:
        ordered = warmest_first(candidates)
        if not ordered:
            return Choice(ordered)
        models = models_in(graph)
        best = {one.name: one for one in ordered if rank(one) == rank(ordered[0])}
        decision = self._fleet.choose(models, self._now(), best.__contains__)
        if decision is None:
            return Choice(ordered, models)
        first = [best[one.server] for one in (decision.chosen, *decision.others)]
        return Choice([*first, *(one for one in ordered if one not in first)], models, decision)

    @override
    def note(self, candidate: Candidate) -> None:
        name = candidate.name
        self._fleet.put(name, is_ready=rank(candidate) is not None)
        counted = self._foreign.get(name, 0)
        own = len(self._fleet.jobs(name)) - counted
        wanted = min(max((candidate.queued or 0) - own, 0), MAX_FOREIGN)
        for number in range(counted, wanted):
            self._fleet.sent(name, f"foreign {number}", None, self._now())
        for number in range(wanted, counted):
            self._fleet.ended(name, f"foreign {number}", self._now())
        self._foreign[name] = wanted

    @override
    def note_sent(self, server: str, prompt_id: str, graph: Mapping[str, Any]) -> None:
        self._fleet.sent(server, prompt_id, models_in(graph), self._now())

    @override
    def note_started(self, server: str, prompt_id: str) -> None:
        self._fleet.started(server, prompt_id, self._now())

    @override
    def note_ended(self, server: str, prompt_id: str, *, success: bool) -> None:
        if server not in self._foreign:  # it is no longer in the settings
            return
        if success:
            self._fleet.finished(server, prompt_id, self._now())
        else:
            self._fleet.ended(server, prompt_id, self._now())

    @override
    def note_lost(self, server: str) -> None:
        if server in self._foreign:
            self._fleet.restarted(server, self._now())
            self._foreign[server] = 0


def _model_files(graph: Mapping[str, Any]) -> Iterator[str]:
    for node in graph.values():
        inputs = node.get("inputs") if isinstance(node, dict) else None
        for value in inputs.values() if isinstance(inputs, dict) else ():
            if isinstance(value, str) and value.lower().endswith(MODEL_FILES):
                yield value
