"""Which decisions of each gateway have been counted, so that a report that is repeated counts once."""

from collections import OrderedDict

MAX_GATEWAYS = 100
"""Gateways that are remembered; of more, the one whose report is the oldest is forgotten."""


class GatewayReports:
    """A gateway numbers its decisions from 0 and sends them in order, until it learns that they were counted.

    A daemon that was restarted asks for all that the gateway still has.
    """

    def __init__(self) -> None:
        self._next: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._next)

    def accept(self, gateway: str, oldest: int, first: int, count: int) -> tuple[int, int]:
        """Return how many decisions at the beginning of a report are to be skipped, and the number to send next.

        `oldest` is the number of the oldest decision that the gateway has, `first` that of the first in the report.
        """
        expected = max(self._next.get(gateway, 0), oldest)
        if first > expected:
            skipped = count
        else:
            skipped = min(expected - first, count)
            expected = max(expected, first + count)
        self._next[gateway] = expected
        self._next.move_to_end(gateway)
        while len(self._next) > MAX_GATEWAYS:
            self._next.popitem(last=False)
        return skipped, expected
