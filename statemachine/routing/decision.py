"""What the choice answers: a server, what is expected there, the runners-up, and why, in words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

WORK_WEIGHT = 1.25
"""Weight of a second of queued work beside one of loading: run times vary more, so long waits come from queues."""

MAX_MISSING = 4
"""Missing models that an explanation names."""
MAX_OTHERS = 3
"""Runners-up in an explanation."""
MAX_MODEL_NAME = 100

_SEPARATORS = re.compile(r"[/\\]")
_FILE_NAME = re.compile(rf"[\w .,+()\[\]-]{{1,{MAX_MODEL_NAME}}}")


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


class Why(StrEnum):
    """Why this server. The value is public; `statemachine.i18n` has its text."""

    WARM = "warm"
    WARM_QUEUED = "warm_queued"
    LOADS = "loads"
    DISPLACES = "displaces"
    SHORTEST_WAIT = "shortest_wait"
    ONLY_READY = "only_ready"
    PASSED_ON = "passed_on"


class Origin(StrEnum):
    """What sent the request to its server: the answer of POST /api/route, or a gateway."""

    ROUTE = "route"
    GATEWAY = "gateway"


class RunnerUp(NamedTuple):
    """A server that would have been the next best, and what the request would have found there."""

    server: str
    prospect: Prospect
    wait_s: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a request went and why. `is_cold`: models had to be loaded; None if what it needs is unknown."""

    server: str
    why: Why
    is_cold: bool | None
    wait_s: float | None
    missing: tuple[str, ...] = ()
    others: tuple[RunnerUp, ...] = ()


def explain(server: str, models: frozenset[str] | None, decision: Decision | None) -> Explanation:
    """Explain why a request for these models went to `server`; without a decision the shortest queue decided."""
    costs = (decision.chosen, *decision.others) if decision is not None else ()
    own = next((one for one in costs if one.server == server), None)
    others = tuple(RunnerUp(one.server, one.prospect, one.wait_s) for one in costs if one.server != server)
    is_cold = None if own is None or not models else bool(own.missing)
    return Explanation(
        server,
        _why(server, own, is_cold, decision),
        is_cold,
        None if own is None else own.wait_s,
        shown_models(own.missing if own is not None else ()),
        others[:MAX_OTHERS],
    )


def _why(server: str, own: ServerCost | None, is_cold: bool | None, decision: Decision | None) -> Why:
    if decision is not None and decision.chosen.server != server:
        return Why.PASSED_ON
    if decision is not None and not decision.others:
        return Why.ONLY_READY
    if own is None or is_cold is None:
        return Why.SHORTEST_WAIT
    if is_cold:
        return Why.DISPLACES if own.price_s > 0.0 else Why.LOADS
    return Why.WARM_QUEUED if own.work_s else Why.WARM


def shown_models(names: Iterable[str]) -> tuple[str, ...]:
    """Return the first names without folders. A graph may name anything; what is not a plain file name is left out."""
    files = (_SEPARATORS.split(name)[-1] for name in names)
    return tuple(dict.fromkeys(one for one in files if _FILE_NAME.fullmatch(one)))[:MAX_MISSING]
