"""The policies that the study compares. Only `Learning` runs the project's code."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle

from typing_extensions import override

from benchmarks.routing.servers import Policy
from benchmarks.routing.trace import Request
from statemachine.routing.fleet import RoutedFleet


class RoundRobin(Policy):
    """Each server in turn."""

    def __init__(self, servers: Sequence[str]) -> None:
        self._next = cycle(servers)

    @override
    def choose(self, request: Request) -> str:
        return next(self._next)


class Random(Policy):
    """Any server."""

    def __init__(self, servers: Sequence[str]) -> None:
        self._servers = servers
        self._chance = random.Random(1)  # noqa: S311

    @override
    def choose(self, request: Request) -> str:
        return self._chance.choice(self._servers)


class ShortestQueue(Policy):
    """The server with the fewest prompts; ties are random."""

    def __init__(self, servers: Sequence[str]) -> None:
        self.lengths = dict.fromkeys(servers, 0)
        self._chance = random.Random(1)  # noqa: S311

    @override
    def choose(self, request: Request) -> str:
        least = min(self.lengths.values())
        return self._sent(self._chance.choice([name for name, length in self.lengths.items() if length == least]))

    def _sent(self, name: str) -> str:
        self.lengths[name] += 1
        return name

    @override
    def ended(self, server: str, number: int, at: float) -> None:
        self.lengths[server] -= 1


class SameServer(ShortestQueue):
    """Without learning: the server that ran the model last, unless its queue is longer than another by two."""

    def __init__(self, servers: Sequence[str]) -> None:
        super().__init__(servers)
        self._last: dict[str, str] = {}

    @override
    def choose(self, request: Request) -> str:
        last = self._last.get(request.model)
        if last is not None and self.lengths[last] < min(self.lengths.values()) + 2:
            return self._sent(last)
        name = super().choose(request)
        self._last[request.model] = name
        return name


class Learning(Policy):
    """The project's choice. It sees which prompts it sent where, and when they ended; nothing else."""

    def __init__(self, servers: Sequence[str]) -> None:
        self.fleet = RoutedFleet()
        for name in servers:
            self.fleet.put(name, is_ready=True)
        self._count = 0

    @override
    def choose(self, request: Request) -> str | None:
        name = self._best(request, request.at_s)
        self.fleet.sent(name, str(self._count), frozenset({request.model}), request.at_s)
        self._count += 1
        return name

    @override
    def ended(self, server: str, number: int, at: float) -> None:
        self.fleet.finished(server, str(number), at)

    def _best(self, request: Request, at: float) -> str:
        decision = self.fleet.choose(frozenset({request.model}), at)
        if decision is None:
            raise ValueError("no server is ready")
        return decision.chosen.server


POLICIES: Mapping[str, Callable[[Sequence[str]], Policy]] = {
    "round robin": RoundRobin,
    "random": Random,
    "shortest queue": ShortestQueue,
    "same server, no learning": SameServer,
    "comfywarm": Learning,
}
