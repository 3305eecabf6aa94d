"""What the choice answers: a server, what is expected there, and the runners-up."""

from dataclasses import dataclass
from enum import StrEnum

WORK_WEIGHT = 1.25
"""Weight of a second of queued work beside one of loading: run times vary more, so long waits come from queues."""


class Prospect(StrEnum):
    """What a request finds on a server. The value is public; `statemachine.i18n` has its text."""

    WARM_IDLE = "warm_idle"
    WARM_BUSY = "warm_busy"
    LOADS_IDLE = "loads_idle"
    LOADS_BUSY = "loads_busy"


@dataclass(frozen=True, slots=True)
class ServerCost:
    """A server and its cost in seconds: the work queued there, the loads, and the price of what they push out.

    `missing` are the models that are probably not ready, of which `unknown` were never seen there.
    """

    server: str
    work_s: float
    load_s: float
    price_s: float
    missing: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def wait_s(self) -> float:
        """Expected seconds until the request's own work begins."""
        return self.work_s + self.load_s

    @property
    def cost_s(self) -> float:
        """The number that the choice minimizes."""
        return WORK_WEIGHT * self.work_s + self.load_s + self.price_s

    @property
    def prospect(self) -> Prospect:
        """What the request finds there."""
        if self.missing:
            return Prospect.LOADS_BUSY if self.work_s else Prospect.LOADS_IDLE
        return Prospect.WARM_BUSY if self.work_s else Prospect.WARM_IDLE


@dataclass(frozen=True, slots=True)
class Decision:
    """The chosen server, and the next best ones, best first."""

    chosen: ServerCost
    others: tuple[ServerCost, ...] = ()
