"""The places of servers that wait for a permit."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from statemachine.core.backoff import Applicant, Budget
from statemachine.core.messages import Message, message

EXACT_PLACES = 100
"""Places behind these are shown in hundreds, so that a long line is not published again with each permit."""


class Waiter(Applicant, Protocol):
    """A server that waits for a permit, with its name."""

    @property
    def server(self) -> str:
        """The server's name."""
        ...


class LinePlace(NamedTuple):
    """A server's place among those that wait: for any permit, or for one on `host` if that alone is full."""

    server: str
    running: int
    limit: int
    number: int
    host: str = ""

    def shown(self, code: str) -> Message:
        """Return the place as people read it: `code` is that of a line of all servers, or of a node's own."""
        if self.running < self.limit:
            return message("wait.permit_granted")
        if self.host:
            return message(
                "wait.host_permit", running=self.running, limit=self.limit, host=self.host, place=self.number
            )
        if self.number > EXACT_PLACES:
            before = (self.number - 1) // EXACT_PLACES * EXACT_PLACES
            return message("wait.permit_far", running=self.running, limit=self.limit, before=before)
        return message(code, running=self.running, limit=self.limit, place=self.number)


def places(budget: Budget, waiting: Iterable[Waiter]) -> Iterator[LinePlace]:
    """Yield the places of servers, given in the order in which they came. Many may take several turns of a loop."""
    running, limit, on_hosts = len(budget), budget.total, Counter[str]()
    for number, one in enumerate(waiting, start=1):
        on_hosts[one.host] += 1
        if running < limit and not budget.has_room(one.host):
            yield LinePlace(one.server, budget.on_host(one.host), budget.per_host, on_hosts[one.host], one.host)
        else:
            yield LinePlace(one.server, running, limit, number)
