"""All that the web side sees of the rest of the program."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from statemachine.core.backoff import Uniform
from statemachine.journal.port import JournalPort
from statemachine.publish.bus import Bus
from statemachine.publish.counters import Counters
from statemachine.publish.snapshot import Snapshot
from statemachine.warmth import Warmth


class Action(StrEnum):
    """What an operator may ask for. The value is the last part of the route."""

    CHECK = "check"
    WARM = "warm"
    PAUSE = "pause"
    RESUME = "resume"


class Operator(Protocol):
    """Carries an operator's wish to the fleet."""

    async def act(self, server: str, action: Action) -> bool:
        """Pass the wish on; the work follows. False: there is no such server. Raises NotOwnedError."""
        ...


@dataclass(frozen=True, slots=True)
class WebPorts:
    """`now` gives epoch seconds, `uniform` a number in [0, 1).

    `owns` says of a server whether this daemon looks after it: each is counted by one daemon's metrics.
    """

    snapshot: Snapshot
    bus: Bus
    journal: JournalPort
    operator: Operator
    now: Callable[[], float]
    warmth: Warmth
    counters: Counters = field(default_factory=Counters)
    uniform: Uniform = random.random
    owns: Callable[[str], bool] = lambda _: True
