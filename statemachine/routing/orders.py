"""The servers that may be chosen, in the orders in which the choice looks at them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from statemachine.routing.ordered import OrderedServers
from statemachine.routing.server import RoutedServer

RAREST = 2
"""Models of a request whose holders are looked at: those with the fewest."""


class ServerOrders:
    """Idle servers by how long the models are unused that a load pushes out, busy ones and holders by expected end."""

    def __init__(self) -> None:
        self._by_number: dict[int, RoutedServer] = {}
        self._idle = OrderedServers()
        self._busy = OrderedServers()
        self._holders: defaultdict[str, OrderedServers] = defaultdict(OrderedServers)

    def place(self, server: RoutedServer) -> None:
        """Give a server its places after a change of its prompts or models."""
        self.remove(server)
        if not server.is_ready:
            return
        self._by_number[server.number] = server
        free_at, victim = server.free_at(), server.holdings.victim()
        server.entries = [(self._busy, (free_at, 0.0, server.number))]
        if not server.jobs:
            server.entries = [(self._idle, (victim.at if victim is not None else -1.0, 0.0, server.number))]
        server.held = tuple(server.holdings.ready)
        for model, used_at in server.holdings.ready.items():
            server.entries.append((self._holders[model], (free_at, -used_at, server.number)))
        for order, entry in server.entries:
            order.add(entry)

    def remove(self, server: RoutedServer) -> None:
        """Take a server out of the orders."""
        for order, entry in server.entries:
            order.remove(entry)
        for model in server.held:
            if not self._holders[model]:
                del self._holders[model]
        server.entries, server.held = [], ()
        self._by_number.pop(server.number, None)

    def copies(self, model: str) -> int:
        """Return the number of servers that probably have the model ready."""
        return len(self._holders.get(model, ()))

    def orders_for(self, models: Iterable[str]) -> Iterator[Iterator[RoutedServer]]:
        """Return the orders for a request, each with its first server first. A server may be in several."""
        held = [self._holders[model] for model in sorted(models) if model in self._holders]
        for order in (*sorted(held, key=len)[:RAREST], self._idle, self._busy):
            yield (self._by_number[number] for *_, number in order)
