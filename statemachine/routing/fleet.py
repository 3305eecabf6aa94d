"""What is known of every server, and the choice between them.

The choice looks only at the first servers of three orders: the holders of the request's models by their work, idle
servers by how long the models are unused that a load would push out, and busy servers by their expected end. So its
cost hardly grows with the fleet. It is deterministic: equal costs go to the server that used the models last.
"""

from collections.abc import Collection, Iterable, Set
from itertools import chain, islice

from statemachine.routing.averages import Demand, Durations
from statemachine.routing.costs import RequestCosts
from statemachine.routing.decision import Decision, ServerCost
from statemachine.routing.holdings import Holdings
from statemachine.routing.orders import ServerOrders
from statemachine.routing.retention import Retention
from statemachine.routing.server import Job, RoutedServer

LOOK = 5
"""Servers that the choice looks at in each order."""

FEW = 16
"""Servers that are all looked at if the choice is limited to so few."""

SHOWN = 4
"""Servers in a decision: the chosen one and the runners-up."""


class RoutedFleet:
    """Servers, their prompts and models, and what was learned of their durations."""

    def __init__(self) -> None:
        self.durations = Durations()
        self.retention = Retention()
        self.demand = Demand()
        self._servers: dict[str, RoutedServer] = {}
        self._next_number = 0
        self._orders = ServerOrders()

    # Servers.

    def put(self, name: str, *, is_ready: bool) -> None:
        """Add a server, or set whether it may be chosen."""
        server = self._servers.get(name)
        if server is None:
            server = RoutedServer(name, self._next_number, Holdings(Retention(self.retention)))
            self._servers[name] = server
            self._next_number += 1
        elif server.is_ready is is_ready:
            return
        server.is_ready = is_ready
        self._orders.place(server)

    def remove(self, name: str) -> None:
        """Forget a server."""
        server = self._servers.pop(name, None)
        if server is not None:
            self._orders.remove(server)

    def report(self, name: str, present: Collection[str], absent: Collection[str], at: float) -> None:
        """Apply what a server, or a check of it, says about its models."""
        server = self._servers[name]
        server.holdings.report(present, absent, at)
        self._orders.place(server)

    def restarted(self, name: str, at: float) -> None:
        """Apply a new process of a server: it has neither models nor prompts."""
        server = self._servers[name]
        for job_id in list(server.jobs):
            server.remove(job_id, at)
        server.holdings.restart()
        self._orders.place(server)

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
        self.demand.requested(models or (), at)
        self._orders.place(server)

    def started(self, name: str, job_id: str, at: float) -> None:
        """Apply that a prompt started."""
        server = self._servers[name]
        if (job := server.jobs.get(job_id)) is not None:
            job.started_at = at
            self._orders.place(server)

    def finished(self, name: str, job_id: str, at: float, load_s: float | None = None) -> None:
        """Apply the success of a prompt and learn from it. `load_s` is how long its loading took, if that was seen."""
        server = self._servers[name]
        if (job := server.remove(job_id, at)) is not None:
            self._learn(server.holdings.retention, job, at, load_s)
            self._orders.place(server)

    def ended(self, name: str, job_id: str, at: float, *, arrived: bool = True) -> None:
        """Apply any other end of a prompt, from which nothing is learned.

        A prompt that never started, or never arrived, has loaded nothing.
        """
        server = self._servers[name]
        if (job := server.remove(job_id, at)) is not None:
            if not arrived:
                self.demand.withdrawn(job.models or (), at)
            if job.started_at is None or not arrived:
                server.holdings.unrun(job.models, job.distance)
            self._orders.place(server)

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

    def choose(
        self, models: frozenset[str] | None, at: float, among: Set[str] | None = None, shown: int = SHOWN
    ) -> Decision | None:
        """Return the server with the least expected finish and the next best ones; None if no server is ready.

        `models` is None if what the request needs is unknown. With `among`, only these servers may be chosen.
        """
        costs = self._costs(models, at)
        servers = {server.number: server for server in self._looked_at(models or frozenset(), among)}
        best: list[tuple[float, float, int]] = []
        for cost, unused, number in sorted(map(costs.least, servers.values())):
            if len(best) == shown and cost > best[-1][0]:  # the price is not negative
                break
            best = sorted([*best, (cost + costs.price_s(servers[number]), unused, number)])[:shown]
        found = [costs.of(servers[number]) for *_, number in best]
        return Decision(found[0], tuple(found[1:])) if found else None

    def candidate(self, name: str, models: frozenset[str] | None, at: float) -> ServerCost:
        """Return what a request for these models costs on a server."""
        return self._costs(models, at).of(self._servers[name])

    def _costs(self, models: frozenset[str] | None, at: float) -> RequestCosts:
        return RequestCosts(models, at, self.durations, self.demand, self._orders)

    def _looked_at(self, models: frozenset[str], among: Set[str] | None) -> Iterable[RoutedServer]:
        if among is not None and len(among) <= FEW:
            return [one for name in among if (one := self._servers.get(name)) is not None and one.is_ready]
        orders = self._orders.orders_for(models)
        return chain.from_iterable(
            islice((one for one in order if among is None or one.name in among), LOOK) for order in orders
        )
