"""The choice by what was learned: which models a graph needs, where they are, and how long they take.

Which inputs of node classes name model files is learned from a server's /object_info/CLASS. Only classes of graphs that
were posted are asked for, each once, and no prompt waits for it.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from typing_extensions import override

from statemachine.comfyui.model_needs import models_of
from statemachine.comfyui.object_info import files_of, is_described, is_file
from statemachine.core.vocabulary import State
from statemachine.gateway.fleet_view import MAX_SERVERS, Candidate, Choice, Chooser, FleetView, rank
from statemachine.gateway.upstream import NoAnswerError, NotSentError, Upstream, is_name
from statemachine.routing.decision import Decision
from statemachine.routing.fleet import RoutedFleet

MAX_CLASSES = 2_000
MAX_WAITING = 200
MAX_NAME = 200
EXAMPLE = [["model.safetensors"]]
"""What is kept of an input that lists model files."""

MAX_FOREIGN = 200
"""Prompts of others on a server that are counted."""


class LoaderClasses:
    """The known node classes. `descriptions` have the form of /object_info, with the inputs for models only."""

    def __init__(self) -> None:
        self.descriptions: dict[str, Any] = {}
        self._waiting: asyncio.Queue[str] = asyncio.Queue(MAX_WAITING)
        self._asked: set[str] = set()

    def note(self, graph: Mapping[str, Any]) -> None:
        """Ask for the classes of a graph that may load models and were not asked for."""
        for name in _loaders(graph):
            if name not in self._asked and len(self._asked) < MAX_CLASSES and not self._waiting.full():
                self._asked.add(name)
                self._waiting.put_nowait(name)

    async def run(self, view: FleetView, upstream: Upstream) -> None:
        """Ask the servers until cancelled."""
        while True:
            name = await self._waiting.get()
            for server in view:
                if server.state == State.UNREACHABLE.value:
                    continue
                with suppress(NotSentError, NoAnswerError):
                    answer = await upstream.json(server.config, f"/object_info/{quote(name, safe='')}")
                    description = answer.get(name) if isinstance(answer, dict) else None
                    if is_described(description):
                        self.descriptions[name] = _compact(description)
                        break


def _loaders(graph: Mapping[str, Any]) -> Iterator[str]:
    """Yield the classes of nodes with a text that may be the name of a file."""
    for node in graph.values():
        match node:
            case {"class_type": str() as name, "inputs": dict() as inputs} if len(name) <= MAX_NAME and is_name(name):
                if any(isinstance(value, str) and is_file(value) for value in inputs.values()):
                    yield name


def _compact(description: Any) -> dict[str, Any]:
    inputs = description["input"]
    groups = [group for group in inputs.values() if isinstance(group, dict)] if isinstance(inputs, dict) else []
    names = {name for group in groups for name in group if files_of(description, name).count}
    return {"input": {"required": dict.fromkeys(names, EXAMPLE)}}


class LearnedChoice(Chooser):
    """Orders the warmest servers by expected finish, then less warm ones. `now` returns seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic, classes: LoaderClasses | None = None) -> None:
        self._now = now
        self._classes = classes or LoaderClasses()
        self._fleet = RoutedFleet()
        self._groups: dict[int, dict[str, Candidate]] = {}
        """The usable servers in groups of equal warmth."""
        self._foreign: dict[str, int] = {}
        """How many prompts of others are counted on each server."""

    @override
    def choose(self, graph: Mapping[str, Any]) -> Choice:
        self._classes.note(graph)
        models, at = self._models_of(graph), self._now()
        servers, decisions = list[Candidate](), list[Decision]()
        for _, group in sorted(self._groups.items()):
            wanted = MAX_SERVERS - len(servers)
            if wanted and (decision := self._fleet.choose(models, at, group.keys(), wanted)) is not None:
                decisions.append(decision)
                servers += [group[one.server] for one in (decision.chosen, *decision.others)]
        return Choice(servers, models, decisions[0] if decisions else None)

    @override
    def note(self, candidate: Candidate) -> None:
        name, warmth = candidate.name, rank(candidate)
        self._fleet.put(name, is_ready=warmth is not None)
        for group in self._groups.values():
            group.pop(name, None)
        if warmth is not None:
            self._groups.setdefault(warmth, {})[name] = candidate
        counted = self._foreign.get(name, 0)
        own = len(self._fleet.jobs(name)) - counted
        wanted = min(max((candidate.queued or 0) - own, 0), MAX_FOREIGN)
        for number in range(counted, wanted):
            self._fleet.sent(name, f"foreign {number}", None, self._now())
        for number in range(wanted, counted):
            self._fleet.ended(name, f"foreign {number}", self._now())
        self._foreign[name] = wanted

    @override
    def forget(self, server: str) -> None:
        self._fleet.remove(server)
        self._foreign.pop(server, None)
        for group in self._groups.values():
            group.pop(server, None)

    @override
    def note_sent(self, server: str, prompt_id: str, graph: Mapping[str, Any]) -> None:
        if server in self._foreign:
            self._fleet.sent(server, prompt_id, self._models_of(graph), self._now())

    @override
    def note_started(self, server: str, prompt_id: str) -> None:
        if server in self._foreign:
            self._fleet.started(server, prompt_id, self._now())

    @override
    def note_ended(self, server: str, prompt_id: str, *, success: bool) -> None:
        if server not in self._foreign:  # it has left the fleet
            return
        if success:
            self._fleet.finished(server, prompt_id, self._now())
        else:
            self._fleet.ended(server, prompt_id, self._now())

    @override
    def note_withdrawn(self, server: str, prompt_id: str) -> None:
        if server in self._foreign:
            self._fleet.ended(server, prompt_id, self._now(), arrived=False)

    @override
    def note_lost(self, server: str) -> None:
        if server in self._foreign:
            self._fleet.restarted(server, self._now())
            self._foreign[server] = 0

    def _models_of(self, graph: Mapping[str, Any]) -> frozenset[str] | None:
        return models_of(graph, self._classes.descriptions) or None
