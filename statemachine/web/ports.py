"""All that the web side sees of the rest of the program."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from statemachine.core.backoff import Uniform
from statemachine.core.ports import Operator
from statemachine.discovery.service import Discovery
from statemachine.journal.port import JournalPort
from statemachine.publish.bus import Bus
from statemachine.publish.counters import Counters
from statemachine.publish.serialize import Json
from statemachine.publish.snapshot import Snapshot
from statemachine.rollouts.service import Rollouts
from statemachine.warmth import Warmth


@dataclass(frozen=True, slots=True)
class WebPorts:
    """`now` gives epoch seconds, `uniform` a number in [0, 1).

    `owns` says of a server whether this daemon looks after it: each is counted by one daemon's metrics. `workflows`
    gives the workflow files by name, with an error in place of a file that cannot be read. `target_wait_s` is how long
    a prompt should wait on average. `groups` gives the groups that may have no server yet, with the workflows of those
    to come. `alerts` gives the active alerts and what silences them. `discovery` has the sources of servers, and
    registers servers.
    """

    snapshot: Snapshot
    bus: Bus
    journal: JournalPort
    operator: Operator
    now: Callable[[], float]
    warmth: Warmth
    rollouts: Rollouts
    counters: Counters = field(default_factory=Counters)
    uniform: Uniform = random.random
    owns: Callable[[str], bool] = lambda _: True
    workflows: Callable[[], Mapping[str, object]] = dict
    target_wait_s: float = 30.0
    groups: Callable[[], Mapping[str, Sequence[Collection[str]]]] = dict
    alerts: Callable[[], Json] = lambda: {"total": 0, "alerts": [], "windows": []}
    discovery: Discovery | None = None

    def is_discovered(self, server: str) -> bool:
        """Return whether a source has named the server."""
        return self.discovery is not None and self.discovery.origin(server) is not None


def loop_time() -> float:
    """Return the seconds of the event loop's clock."""
    return asyncio.get_running_loop().time()
