"""What one request costs on each server."""

from statemachine.routing.averages import Demand, Durations
from statemachine.routing.decision import WORK_WEIGHT, ServerCost
from statemachine.routing.orders import ServerOrders
from statemachine.routing.retention import READY
from statemachine.routing.server import RoutedServer


class RequestCosts:
    """The costs of a request at a time. `models` is None if what it needs is unknown."""

    def __init__(
        self, models: frozenset[str] | None, at: float, durations: Durations, demand: Demand, orders: ServerOrders
    ) -> None:
        self._models = models or frozenset()
        self._at = at
        self._durations = durations
        self._demand = demand
        self._orders = orders
        self._loads = {model: durations.load_s(model) for model in sorted(self._models)}
        self._worths: dict[str, float] = {}

    def least(self, server: RoutedServer) -> tuple[float, float, int]:
        """Return the cost without the price, then what orders equal ones: the server that used the models last."""
        derived = server.holdings.derived
        kept, used_at = derived.kept, derived.used_at
        cost, latest = WORK_WEIGHT * server.work_s(self._at), 0.0
        for model, load_s in self._loads.items():
            cost += (1.0 - kept.get(model, 0.0)) * load_s
            latest = max(latest, used_at.get(model, 0.0))
        return cost, -latest, server.number

    def price_s(self, server: RoutedServer) -> float:
        """Return what later requests lose to the loads of this one, in seconds."""
        derived = server.holdings.derived
        victim, kept = derived.victim, derived.kept
        if victim is None or victim.models is None or all(kept.get(model, 0.0) >= READY for model in self._loads):
            return 0.0
        return sum(self._worth(model) for model in victim.models if model not in self._models)

    def of(self, server: RoutedServer) -> ServerCost:
        """Return the costs in full."""
        kept = {model: server.holdings.kept(model) for model in self._loads}
        load_s = sum((1.0 - (kept[model] or 0.0)) * seconds for model, seconds in self._loads.items())
        missing = tuple(model for model, share in kept.items() if (share or 0.0) < READY)
        unknown = tuple(model for model in missing if kept[model] is None)
        return ServerCost(server.name, server.work_s(self._at), load_s, self.price_s(server), missing, unknown)

    def _worth(self, model: str) -> float:
        """Return what one copy of a model saves, in seconds: much if the model is wanted and there are few others."""
        if (known := self._worths.get(model)) is None:
            saved_s = self._demand.wanted(model, self._at) * self._durations.load_s(model)
            known = self._worths[model] = saved_s / max(1, self._orders.copies(model)) ** 2
        return known
