"""The choice by what was learned: which models a graph needs, where they are, and how long loads and runs take."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from typing_extensions import override

from statemachine.comfyui.model_needs import models_of
from statemachine.gateway.fleet_view import MAX_SERVERS, Candidate, Choice, Chooser, rank
from statemachine.gateway.loader_classes import LoaderClasses
from statemachine.routing.decision import Decision
from statemachine.routing.fleet import RoutedFleet

MAX_FOREIGN = 200
"""Prompts of others on a server that are counted."""


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
