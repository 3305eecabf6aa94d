"""What is known of every server, and the choice between them.

The choice looks only at the first servers of three orders: the holders of the request's models by their work, idle
servers by how long the models are unused that a load would push out, and busy servers by their expected end. So its
cost hardly grows with the fleet. It is deterministic: equal costs go to the server that used the models last.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from heapq import nsmallest
from itertools import islice

from statemachine.routing.averages import Durations
from statemachine.routing.decision import WORK_WEIGHT, Decision, ServerCost
from statemachine.routing.holdings import Holdings, Use
from statemachine.routing.ordered import Entry, OrderedServers
from statemachine.routing.retention import READY, Retention
from statemachine.routing.server import Job, RoutedServer

LOOK = 5
"""Servers that the choice looks at in each order."""

RAREST = 2
"""Models of the request whose holders are looked at: those with the fewest."""

SHOWN = 4
"""Servers in a decision: the chosen one and the runners-up."""

PRICE_SHARE = 1 / 3
"""Price of pushing out a model that was used just now, as a share of its load time."""

LAST_COPY_FACTOR = 1.25
"""How many times more the fleet's last copy of a model costs."""

PRICE_HALVES_S = 1800.0
"""Time without use after which the price of a model has halved."""

Allowed = Callable[[str], bool]


class RoutedFleet:
    """Servers, their prompts and models, and what was learned of their durations."""

    def __init__(self) -> None:
        self.durations = Durations()
        self.retention = Retention()
        self._servers: dict[str, RoutedServer] = {}
        self._by_number: dict[int, RoutedServer] = {}
        self._next_number = 0
        self._idle = OrderedServers()
        self._busy = OrderedServers()
        self._holders: defaultdict[str, OrderedServers] = defaultdict(OrderedServers)

    # Servers.

    def put(self, name: str, *, is_ready: bool) -> None:
        """Add a server, or set whether it may be chosen."""
        server = self._servers.get(name)
        if server is None:
            server = RoutedServer(name, self._next_number, Holdings(Retention(self.retention)))
            self._servers[name] = self._by_number[server.number] = server
            self._next_number += 1
        elif server.is_ready is is_ready:
            return
        server.is_ready = is_ready
        self._place(server)

    def remove(self, name: str) -> None:
        """Forget a server."""
        server = self._servers.pop(name, None)
        if server is not None:
            self._displace(server)
            del self._by_number[server.number]

    def report(self, name: str, present: Collection[str], absent: Collection[str], at: float) -> None:
        """Apply what a server, or a check of it, says about its models."""
        server = self._servers[name]
        server.holdings.report(present, absent, at)
        self._place(server)

    def restarted(self, name: str, at: float) -> None:
        """Apply a new process of a server: it has neither models nor prompts."""
        server = self._servers[name]
        for job_id in list(server.jobs):
            server.remove(job_id, at)
        server.holdings.restart()
        self._place(server)

    def holdings(self, name: str) -> Holdings:
        """Return the models of a server, to be read."""
        return self._servers[name].holdings

    def jobs(self, name: str) -> Collection[Job]:
        """Return the prompts of a server in their order."""
        return self._servers[name].jobs.values()

    # Prompts.

    def sent(self, name: str, job_id: str, models: frozenset[str] | None, at: float) -> None:
        """Apply that a prompt is on its way to a server, or was seen there; `models` is None if unknown."""
        server = self._servers[name]
        server.add(self._job(server.holdings, job_id, models, at))
        server.holdings.run(models, at)
        self._place(server)

    def started(self, name: str, job_id: str, at: float) -> None:
        """Apply that a prompt started."""
        server = self._servers[name]
        if (job := server.jobs.get(job_id)) is not None:
            job.started_at = at
            self._place(server)

    def finished(self, name: str, job_id: str, at: float, load_s: float | None = None) -> None:
        """Apply the success of a prompt and learn from it. `load_s` is how long its loading took, if that was seen."""
        server = self._servers[name]
        if (job := server.remove(job_id, at)) is not None:
            self._learn(server.holdings.retention, job, at, load_s)
            self._place(server)

    def ended(self, name: str, job_id: str, at: float, *, arrived: bool = True) -> None:
        """Apply any other end of a prompt, from which nothing is learned.

        A prompt that never started, or never arrived, has loaded nothing.
        """
        server = self._servers[name]
        if (job := server.remove(job_id, at)) is not None:
            if job.started_at is None or not arrived:
                server.holdings.unrun(job.models, job.distance)
            self._place(server)

    def _job(self, holdings: Holdings, job_id: str, models: frozenset[str] | None, at: float) -> Job:
        job = Job(job_id, models, at, self.durations.run_s(models), 0.0)
        if models:
            distances = {holdings.distance(model) for model in models}
            job.load_s = self.durations.missing_s(models, holdings.probability)
            job.distance = distances.pop() if len(distances) == 1 else None
            job.was_absent = all(holdings.kept(model) == 0.0 for model in models)
        return job

    def _learn(self, retention: Retention, job: Job, at: float, load_s: float | None) -> None:
        if not job.models or job.started_at is None:
            return
        seconds = at - job.started_at
        if load_s is not None or job.distance == 0:
            self.durations.ran(job.models, seconds - (load_s or 0.0))
        elif not self.durations.is_run_known(job.models):
            return
        loading = seconds - self.durations.run_s(job.models) if load_s is None else load_s
        if job.was_absent:
            self.durations.loaded(job.models, loading)
        elif job.distance:
            all_missing = self.durations.missing_s(job.models, lambda _: 0.0)
            retention.observe(job.distance, 1.0 - loading / max(all_missing, 1.0))

    # The choice.

    def choose(self, models: frozenset[str] | None, at: float, allowed: Allowed | None = None) -> Decision | None:
        """Return the server with the least expected finish, or None if no allowed server is ready.

        `models` is None if what the request needs is unknown.
        """
        wanted = models or frozenset()
        loads = {model: self.durations.load_s(model) for model in wanted}
        numbers = {entry[2] for entry in self._looked_at(wanted, allowed)}
        scores = ((*self._score(self._by_number[number], loads, wanted, at), number) for number in numbers)
        best = [self.candidate(self._by_number[number].name, models, at) for *_, number in nsmallest(SHOWN, scores)]
        return Decision(best[0], tuple(best[1:])) if best else None

    def _looked_at(self, wanted: frozenset[str], allowed: Allowed | None) -> Iterator[Entry]:
        held = [self._holders[model] for model in wanted if model in self._holders]
        for order in (*sorted(held, key=len)[:RAREST], self._idle, self._busy):
            entries = (one for one in order if allowed is None or allowed(self._by_number[one[2]].name))
            yield from islice(entries, LOOK)

    def _score(
        self, server: RoutedServer, loads: Mapping[str, float], wanted: frozenset[str], at: float
    ) -> tuple[float, float]:
        """Return the cost, and the time since the models were used there, negated to be ordered."""
        known, holdings = server.holdings.known, server.holdings
        cost, is_missing = WORK_WEIGHT * server.work_s(at), False
        for model, load_s in loads.items():
            kept = known.get(model, 0.0)
            cost += (1.0 - kept) * load_s
            is_missing = is_missing or kept < READY
        return cost + (self._price(holdings.victim(), wanted, at) if is_missing else 0.0), -holdings.used_at(wanted)

    def candidate(self, name: str, models: frozenset[str] | None, at: float) -> ServerCost:
        """Return what a request for these models costs on a server."""
        server = self._servers[name]
        kept = {model: server.holdings.kept(model) for model in models or ()}
        load_s = sum((1.0 - (share or 0.0)) * self.durations.load_s(model) for model, share in kept.items())
        missing = tuple(sorted(model for model, share in kept.items() if (share or 0.0) < READY))
        unknown = tuple(model for model in missing if kept[model] is None)
        price_s = self._price(server.holdings.victim(), models or frozenset(), at) if missing else 0.0
        return ServerCost(name, server.work_s(at), load_s, price_s, missing, unknown)

    def _price(self, victim: Use | None, models: frozenset[str], at: float) -> float:
        """Return what pushing out a set costs later requests, in seconds."""
        if victim is None or victim.models is None:
            return 0.0
        age = 1.0 + max(0.0, at - victim.at) / PRICE_HALVES_S
        lost = (PRICE_SHARE * self._copy_factor(one) * self.durations.load_s(one) for one in victim.models - models)
        return sum(lost) / age

    def _copy_factor(self, model: str) -> float:
        return LAST_COPY_FACTOR if len(self._holders.get(model, ())) <= 1 else 1.0

    # The orders.

    def _place(self, server: RoutedServer) -> None:
        self._displace(server)
        if not server.is_ready:
            return
        free_at, victim = server.free_at(), server.holdings.victim()
        own = (self._busy, (free_at, 0.0, server.number))
        if not server.jobs:
            own = (self._idle, (victim.at if victim is not None else -1.0, 0.0, server.number))
        held = server.holdings.ready.items()
        server.entries = [own, *((self._holders[model], (free_at, -used, server.number)) for model, used in held)]
        for order, entry in server.entries:
            order.add(entry)

    def _displace(self, server: RoutedServer) -> None:
        for order, entry in server.entries:
            order.remove(entry)
        server.entries = []
