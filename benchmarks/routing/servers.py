"""Simulated servers in virtual time: each runs its prompts in order and keeps the models that it used last."""

import heapq
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.routing.trace import Request


@dataclass(slots=True)
class Server:
    """A server with its true models, least recently used first. The choice never sees these."""

    name: str
    models: OrderedDict[str, None] = field(default_factory=OrderedDict)
    waiting: deque[tuple[str, Request]] = field(default_factory=deque)


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

    def quantile_s(self, share: float) -> float:
        """Return the wait that this share of the requests does not exceed."""
        return sorted(self.waits)[min(len(self.waits) - 1, int(len(self.waits) * share))]


class Policy:
    """Chooses servers. It sees what a daemon sees: which prompt was sent where, and when it ended."""

    def choose(self, request: Request) -> str:
        """Return the server for a request, which is sent there at once."""
        raise NotImplementedError

    def ended(self, server: str, job_id: str, at: float) -> None:
        """Note that a prompt has ended; its number in the order of choices, from 0, is its id."""


def replay(requests: Sequence[Request], servers: Sequence[str], policy: Policy, room: int, load_s: float) -> Replay:
    """Send every request to the server that the policy chooses, and return what happened."""
    fleet, ends, result = {name: Server(name) for name in servers}, list[tuple[float, int, str]](), Replay()

    def start(server: Server, at: float) -> None:
        job_id, request = server.waiting[0]
        loading = 0.0 if request.model in server.models else load_s
        _use(server.models, request.model, room)
        result.cold += bool(loading)
        result.waits.append(at + loading - request.at_s)
        result.gpu_s += loading + request.run_s
        heapq.heappush(ends, (at + loading + request.run_s, int(job_id), server.name))

    for number, request in enumerate(requests):
        _end_until(request.at_s, ends, fleet, start, policy)
        server = fleet[policy.choose(request)]
        server.waiting.append((str(number), request))
        if len(server.waiting) == 1:
            start(server, request.at_s)
    _end_until(float("inf"), ends, fleet, start, policy)
    return result


def _end_until(
    at: float,
    ends: list[tuple[float, int, str]],
    fleet: dict[str, Server],
    start: Callable[[Server, float], None],
    policy: Policy,
) -> None:
    """End the prompts that end until then, and start the next ones."""
    while ends and ends[0][0] <= at:
        ended_at, number, name = heapq.heappop(ends)
        server = fleet[name]
        server.waiting.popleft()
        policy.ended(name, str(number), ended_at)
        if server.waiting:
            start(server, ended_at)


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
