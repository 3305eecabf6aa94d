"""What a duty works with: one server's memory, its client, and the way to tell what happened.

Duties only observe and report; the machine alone decides what a report means.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from statemachine.comfyui.checks import CacheCheck
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.transport import Transport
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core.clock import Clock
from statemachine.core.events import Event
from statemachine.core.ownership import Ownership
from statemachine.core.server import Server
from statemachine.fleet.clock import Wakeup
from statemachine.fleet.permits import PermitsPort
from statemachine.fleet.reachability import OutageGuard
from statemachine.fleet.sole_owner import SoleOwner
from statemachine.fleet.system_info import SystemInfoQueue
from statemachine.journal.port import JournalPort
from statemachine.publish.counters import Counters
from statemachine.publish.server_detail import ServerDetail
from statemachine.settings.model import Settings
from statemachine.settings.servers import ServerConfig


@dataclass(slots=True, eq=False)
class FleetContext:
    """What all servers of a fleet have in common. A reload replaces the settings and what follows from them."""

    settings: Settings
    clock: Clock
    journal: JournalPort
    permits: PermitsPort
    check_slots: asyncio.Semaphore
    outage: OutageGuard
    counters: Counters = field(default_factory=Counters)
    system_info: SystemInfoQueue = field(default_factory=SystemInfoQueue)
    ownership: Ownership = field(default_factory=SoleOwner)

    def __post_init__(self) -> None:
        """Show the limit."""
        self.counters.warm_ups_limited(self.settings.limits.max_warming)

    def apply(self, settings: Settings) -> None:
        """Put other settings in force. What is under way ends under the old ones."""
        if settings.limits.max_checks != self.settings.limits.max_checks:
            self.check_slots = asyncio.Semaphore(settings.limits.max_checks)
        self.permits.resize(settings.limits.max_warming, settings.limits.max_warming_per_host)
        self.counters.warm_ups_limited(settings.limits.max_warming)
        self.settings = settings


@dataclass(slots=True, eq=False)
class ServerContext:
    """One server's context.

    `post` puts an event into its mailbox; `announce` says when it next acts (epoch seconds). `fit` has the
    digests of the workflows that this life of the server can run, each with the life's instance, where a companion node
    tells it; `cold_since` is loop time: a step of the wall clock is no wait.
    `known_before`: the journal knows the server from an earlier run.
    """

    config: ServerConfig
    server: Server
    workflows: Mapping[str, Workflow]
    broken: tuple[WorkflowError, ...]
    transport: Transport
    client: ComfyClient
    check: CacheCheck
    fleet: FleetContext
    detail: ServerDetail
    post: Callable[[Event], None]
    announce: Callable[[float | None], None]
    nudge: Wakeup = field(default_factory=Wakeup)
    redial: Wakeup = field(default_factory=Wakeup)
    fit: frozenset[tuple[str | None, str]] = frozenset()
    cold_since: float | None = None
    known_before: bool = False

    async def wait(self, seconds: float) -> None:
        """Wait, but not longer than until something happens that makes looking again worthwhile."""
        await self.nudge.wait(seconds)

    async def sleep(self, seconds: float) -> None:
        """Wait, and let people see until when."""
        self.announce(self.fleet.clock.now() + seconds)
        await asyncio.sleep(seconds)
