"""Simulated servers in virtual time: each runs its prompts in order and keeps the models that it used last."""

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

from benchmarks.routing.trace import Request


@dataclass(slots=True)
class Server:
    """A server with its true models, least recently used first. The choice never sees these."""

    name: str
    models: OrderedDict[str, None] = field(default_factory=OrderedDict)
    waiting: deque[tuple[int, Request]] = field(default_factory=deque)


@dataclass(slots=True)
class Replay:
    """What happened to the requests: their waits until their own work began, the cold ones, and seconds of GPUs."""

    waits: list[float] = field(default_factory=list)
    cold: int = 0
    gpu_s: float = 0.0

    @property
    def cold_share(self) -> float:
        """Share of the requests for which the model was loaded."""
        return self.cold / len(self.waits)

    @property
    def mean_s(self) -> float:
        """Average wait."""
        return sum(self.waits) / len(self.waits)

    def share_over(self, seconds: float) -> float:
        """Return the share of the requests that waited longer."""
        return sum(wait > seconds for wait in self.waits) / len(self.waits)

    def quantile_s(self, share: float) -> float:
        """Return the wait that this share of the requests does not exceed."""
        return sorted(self.waits)[min(len(self.waits) - 1, int(len(self.waits) * share))]


class Policy:
    """Chooses servers. It sees what a daemon sees: which prompt was sent where, and when it ended.

    Requests are numbered from 0 in the order of their choices, and warm-ups from -1 down.
    """

    interval_s: float | None = None
    """How often `held` and `warm_ups` are called also when nothing ends; None for never."""

    def choose(self, request: Request) -> str | None:
        """Return the server for a request, which is sent there at once, or None to hold it."""
        raise NotImplementedError

    def held(self, at: float) -> Iterable[tuple[int, str]]:
        """Return the requests that are held no more, each with the server that it is sent to."""
        return ()

    def warm_ups(self, at: float) -> Iterable[tuple[str, str]]:
        """Return servers to be warmed now, each with a model."""
        return ()

    def ended(self, server: str, number: int, at: float) -> None:
        """Note that a prompt has ended."""


class _Kind(IntEnum):
    """Kinds of events; of those at one time, the lower one comes first."""

    END = 0
    LOOK = 1
    ARRIVAL = 2


class Replayer:
    """Sends every request to the server that the policy chooses."""

    def __init__(
        self, requests: Sequence[Request], servers: Sequence[str], policy: Policy, room: int, load_s: float
    ) -> None:
        self._requests = requests
        self._fleet = {name: Server(name) for name in servers}
        self._policy = policy
        self._room = room
        self._load_s = load_s
        self._warm_up_numbers = count(-1, -1)
        self._events: list[tuple[float, _Kind, int, str]] = [
            (request.at_s, _Kind.ARRIVAL, number, "") for number, request in enumerate(requests)
        ]
        if policy.interval_s is not None:
            self._events.append((requests[0].at_s, _Kind.LOOK, 0, ""))
        heapq.heapify(self._events)
        self.result = Replay()

    def run(self) -> Replay:
        """Run all events, and return what happened."""
        while self._events:
            at, kind, number, name = heapq.heappop(self._events)
            if kind is _Kind.END:
                self._end(self._fleet[name], number, at)
            elif kind is _Kind.ARRIVAL:
                self._send(number, self._requests[number], self._policy.choose(self._requests[number]), at)
            elif self._policy.interval_s is not None and len(self.result.waits) < len(self._requests):
                heapq.heappush(self._events, (at + self._policy.interval_s, kind, 0, ""))
            self._ask(at)
        return self.result

    def _ask(self, at: float) -> None:
        """Apply what the policy decides without a new request."""
        for number, name in self._policy.held(at):
            self._send(number, self._requests[number], name, at)
        for name, model in self._policy.warm_ups(at):
            self._send(next(self._warm_up_numbers), Request(at, model, 0.0), name, at)

    def _send(self, number: int, request: Request, name: str | None, at: float) -> None:
        if name is not None:
            server = self._fleet[name]
            server.waiting.append((number, request))
            if len(server.waiting) == 1:
                self._start(server, at)

    def _start(self, server: Server, at: float) -> None:
        number, request = server.waiting[0]
        loading = 0.0 if request.model in server.models else self._load_s
        _use(server.models, request.model, self._room)
        self.result.gpu_s += loading + request.run_s
        if number >= 0:
            self.result.cold += bool(loading)
            self.result.waits.append(at + loading - request.at_s)
        heapq.heappush(self._events, (at + loading + request.run_s, _Kind.END, number, server.name))

    def _end(self, server: Server, number: int, at: float) -> None:
        server.waiting.popleft()
        self._policy.ended(server.name, number, at)
        if server.waiting:
            self._start(server, at)


def replay(requests: Sequence[Request], servers: Sequence[str], policy: Policy, room: int, load_s: float) -> Replay:
    """Send every request to the server that the policy chooses, and return what happened."""
    return Replayer(requests, servers, policy, room, load_s).run()


def _use(models: OrderedDict[str, None], model: str, room: int) -> None:
    models[model] = None
    models.move_to_end(model)
    if len(models) > room:
        models.popitem(last=False)


def bound(requests: Sequence[Request], slots: int) -> float:
    """Return the cold share of one pool of slots that evicts what is needed last, with no queues."""
    next_use, later = [0.0] * len(requests), dict[str, float]()
    for number in range(len(requests) - 1, -1, -1):
        next_use[number] = later.get(requests[number].model, float("inf"))
        later[requests[number].model] = float(number)
    held, cold = dict[str, float](), 0
    for request, following in zip(requests, next_use, strict=True):
        if request.model not in held:
            cold += 1
            if len(held) >= slots:
                del held[max(held, key=lambda model: held[model])]
        held[request.model] = following
    return cold / len(requests)
