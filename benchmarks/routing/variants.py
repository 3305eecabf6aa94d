"""Variants of the choice that were studied and are not part of the product, because they gain too little."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from typing_extensions import override

from benchmarks.routing.policies import Learning
from benchmarks.routing.servers import Policy
from benchmarks.routing.trace import Request

PATIENCE_S = 60.0
"""Time for which a request is held at most; it then joins the best queue."""

WARM_UP_GPU_S_PER_HOUR = 600.0
"""Bound on the GPU time of warm-ups in any hour, over the whole fleet."""

IDLE_S = 60.0
"""Time without prompts after which a server may be warmed."""

LEAST_GAIN_S = 1.0
"""Seconds of loading that a warm-up must be expected to save."""

LOOK_S = 30.0
"""How often servers to be warmed are looked for."""

HOUR_S = 3600.0


class DecidingLate(Learning):
    """Holds a request until the server that is best for it is idle; decides again at each end and every 2 s.

    Requests are decided in their order. Those that stay are planned on their servers for the ones after them.
    """

    interval_s = 2.0

    def __init__(self, servers: Sequence[str]) -> None:
        super().__init__(servers)
        self._held: dict[int, Request] = {}

    @override
    def choose(self, request: Request) -> str | None:
        self._held[self._count] = request
        self._count += 1
        return None

    @override
    def held(self, at: float) -> list[tuple[int, str]]:
        found, planned = list[tuple[int, str]](), list[tuple[str, str]]()
        for number, request in list(self._held.items()):
            name = self._best(request, at)
            if self.fleet.jobs(name) and at - request.at_s < PATIENCE_S:
                planned.append((name, str(number)))
            else:
                found.append((number, name))
                del self._held[number]
            self.fleet.sent(name, str(number), frozenset({request.model}), at)
        for name, job_id in reversed(planned):
            self.fleet.ended(name, job_id, at, arrived=False)
        return found


class WarmingAhead(Learning):
    """Warms idle servers for the models that are wanted and that no server has, within a bound on GPU time."""

    interval_s = LOOK_S

    def __init__(self, servers: Sequence[str]) -> None:
        super().__init__(servers)
        self._idle_since = dict.fromkeys(servers, 0.0)
        self._models: dict[str, None] = {}
        self._warmed: deque[tuple[float, float]] = deque()
        self._warm_ups = 0
        self._looked_at = 0.0

    @override
    def choose(self, request: Request) -> str | None:
        self._models[request.model] = None
        return super().choose(request)

    @override
    def ended(self, server: str, number: int, at: float) -> None:
        if number < 0:  # a warm-up shows nothing of runs
            self.fleet.ended(server, str(number), at)
        else:
            super().ended(server, number, at)
        self._idle_since[server] = at

    @override
    def warm_ups(self, at: float) -> list[tuple[str, str]]:
        if at - self._looked_at < LOOK_S:
            return []
        self._looked_at = at
        found = self._best_warm_up(at)
        if found is None:
            return []
        name, model = found
        while self._warmed and self._warmed[0][0] <= at - HOUR_S:
            self._warmed.popleft()
        load_s = self.fleet.durations.load_s(model)
        if sum(spent for _, spent in self._warmed) + load_s > WARM_UP_GPU_S_PER_HOUR:
            return []
        self._warmed.append((at, load_s))
        self._warm_ups += 1
        self.fleet.sent(name, str(-self._warm_ups), frozenset({model}), at)
        self.fleet.demand.withdrawn({model}, at)  # a warm-up is not a request
        return [found]

    def _best_warm_up(self, at: float) -> tuple[str, str] | None:
        """Return the server that loses least and the most wanted model that no server has, if that gains."""
        copies = Counter(model for name in self._idle_since for model in self.fleet.holdings(name).ready)
        absent = [(self._worth(model, at), model) for model in self._models if model not in copies]
        idle = [
            (sum(self._worth(model, at) / copies[model] ** 2 for model in self._victim(name)), name)
            for name, since in self._idle_since.items()
            if not self.fleet.jobs(name) and at - since >= IDLE_S
        ]
        if not absent or not idle:
            return None
        (gained_s, model), (lost_s, name) = max(absent), min(idle)
        return (name, model) if gained_s - lost_s >= LEAST_GAIN_S else None

    def _worth(self, model: str, at: float) -> float:
        return self.fleet.demand.wanted(model, at) * self.fleet.durations.load_s(model)

    def _victim(self, name: str) -> list[str]:
        """Return the models that a load on this server pushes out."""
        holdings = self.fleet.holdings(name)
        victim = holdings.victim()
        return [one for one in (victim.models or () if victim is not None else ()) if one in holdings.ready]


VARIANTS: Mapping[str, Callable[[Sequence[str]], Policy]] = {
    "comfywarm, decided late": DecidingLate,
    "comfywarm, warmed ahead": WarmingAhead,
}
