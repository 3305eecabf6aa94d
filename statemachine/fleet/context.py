"""What the tasks of a server work with: its memory, its client, and the way to report what they observe.

Tasks only observe and report. The machine alone decides what a report means.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from statemachine.comfyui.checks import CacheCheck
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.pacing import RequestPause
from statemachine.comfyui.transport import Transport
from statemachine.comfyui.workflow import Workflow, WorkflowError
from statemachine.core.duties import Waiting
from statemachine.core.events import Event, PromptStuck, RestartFailed
from statemachine.core.messages import Message, message
from statemachine.core.ports import Clock, Ownership, RestartClaims, SoleClaims, SoleOwner
from statemachine.core.restart import RestartAges
from statemachine.core.server import Attempt, Server
from statemachine.core.vocabulary import IN_FLIGHT
from statemachine.fleet.begun_turns import BegunTurns
from statemachine.fleet.check_slots import CheckSlots, Pace
from statemachine.fleet.clock import Wakeup, loop_time
from statemachine.fleet.diff import LoadedConfig
from statemachine.fleet.patience import Patience
from statemachine.fleet.permits import PermitLine, PermitsPort
from statemachine.fleet.reachability import OutageGuard
from statemachine.fleet.system_info import SystemInfoQueue
from statemachine.i18n.render import worded
from statemachine.journal.port import JournalPort
from statemachine.journal.recorder import Recorder
from statemachine.publish.counters import Counters
from statemachine.publish.publisher import Publisher
from statemachine.publish.snapshot import ServerDetail
from statemachine.repair.port import HookRunner, NoHooks
from statemachine.settings.model import Settings
from statemachine.settings.servers import ServerConfig

UNTIL_DIGITS = 1
"""Digits of a second in the end of a wait, so that a wait that is computed again is published once."""


class RunningHook(NamedTuple):
    """A restart hook that has begun. `restart` is the id of its restart; the task returns why the hook has failed."""

    restart: str
    task: asyncio.Task[RestartFailed | None]


TransportFactory = Callable[[ServerConfig], Transport]


@dataclass(frozen=True, slots=True)
class FleetPorts:
    """What the fleet needs from the rest of the daemon."""

    clock: Clock
    journal: JournalPort
    recorder: Recorder
    permits: PermitsPort
    publisher: Publisher
    transport_for: TransportFactory
    ownership: Ownership = field(default_factory=SoleOwner)
    counters: Counters = field(default_factory=Counters)
    hooks: HookRunner = field(default_factory=NoHooks)
    claims: RestartClaims = field(default_factory=SoleClaims)


@dataclass(slots=True, eq=False)
class FleetContext:
    """What all servers share. `config` is the one holder of the active settings; a reload replaces it.

    `restarting` has the servers of this daemon with an open restart, and their groups and hosts. It is known before it
    is published. `running_hooks` has the restart hooks that have begun, by the server's name; only the end of the
    fleet ends them early, so that a hook may outlast the time in which this daemon looks after its server.
    """

    config: LoadedConfig
    clock: Clock
    journal: JournalPort
    recorder: Recorder
    permits: PermitsPort
    publisher: Publisher
    ownership: Ownership
    counters: Counters
    outage: OutageGuard
    check_slots: CheckSlots
    permit_line: PermitLine
    hooks: HookRunner
    claims: RestartClaims
    system_info: SystemInfoQueue = field(default_factory=SystemInfoQueue)
    restarting: dict[str, tuple[str, str]] = field(default_factory=dict)
    running_hooks: dict[str, RunningHook] = field(default_factory=dict)
    turns: BegunTurns = field(init=False)

    def __post_init__(self) -> None:
        self.turns = BegunTurns(lambda: self.config.servers, self.publisher.restarts)

    @property
    def settings(self) -> Settings:
        """The active settings."""
        return self.config.settings

    def is_restarting(self, group: str) -> bool:
        """Return whether a server of the group is being restarted, by any daemon."""
        return any(one == group for one, _ in self.restarting.values()) or self.publisher.is_restarting(group)

    def is_host_restarting(self, host: str) -> bool:
        """Return whether a server of the host is being restarted, by any daemon."""
        return any(one == host for _, one in self.restarting.values()) or self.publisher.is_host_restarting(host)

    def apply(self, config: LoadedConfig) -> None:
        """Make `config` the active one. What is under way ends under the old settings."""
        limits = config.settings.limits
        if limits.max_checks != self.settings.limits.max_checks:
            self.check_slots = CheckSlots(limits.max_checks)
        self.permits.resize(limits.max_warming, limits.max_warming_per_host)
        self.counters.set_warm_up_limit(limits.max_warming)
        self.config = config


@dataclass(slots=True, eq=False)
class ServerContext:
    """One server's memory, client and mailbox.

    `post` puts an event into the mailbox. `pause` is the rest of the server's rate limit. `preflight_passed` has the
    digests of the workflows that this process of the server can run, each with the process's instance if a companion
    node reports one. `known_before`: the journal knows the server from an earlier run of the daemon. Loop times:
    `cold_since`, `failed_at` (the streak of failures changed), `lost_at` (the contention changed), `limited_at` (a
    rate limit answered a POST), `restarts` (the last checks that restarts caused) and `changes_allowed_at` (when the
    next check after a change would be due at the slowest pace). `hook_due` is the id of the restart whose hook this
    task has recorded and not begun: no other hook is run. `earlier_hook_until`: the loop time until which a hook that
    another daemon has begun may still run. `returns` counts the server's returns from restart hooks. `stands_still`: by
    the last look the server runs none of the prompts that it has accepted. `ages`: how long ago its restarts were.
    """

    config: ServerConfig
    server: Server
    workflows: Mapping[str, Workflow]
    broken: tuple[WorkflowError, ...]
    transport: Transport
    client: ComfyClient
    check: CacheCheck
    fleet: FleetContext
    post: Callable[[Event], None]
    pause: RequestPause
    pace: Pace = field(default_factory=Pace)
    detail: ServerDetail = field(default_factory=ServerDetail)
    nudge: Wakeup = field(default_factory=Wakeup)
    redial: Wakeup = field(default_factory=Wakeup)
    preflight_passed: frozenset[tuple[str | None, str]] = frozenset()
    cold_since: float | None = None
    failed_at: float = 0.0
    lost_at: float = 0.0
    limited_at: float = 0.0
    restarts: tuple[float, ...] = ()
    changes_allowed_at: float = 0.0
    known_before: bool = False
    hook_due: str | None = None
    earlier_hook_until: float = 0.0
    returns: int = 0
    stands_still: bool = False
    ages: RestartAges = field(default_factory=RestartAges)
    _patience: Patience | None = None
    _doubt: Patience | None = None

    def patience_with(self, attempt: Attempt) -> Patience:
        """Return the time limit of this attempt, which goes on after the server was away."""
        if self._patience is None or self._patience.attempt is not attempt:
            self._patience = Patience(attempt)
        return self._patience

    def doubt_about(self, attempt: Attempt) -> Patience:
        """Return the time limit of the lookups of this attempt, until one of them decides.

        It is not what is left of the attempt's own limit: that may have passed before the server's process ended.
        """
        if self._doubt is None or self._doubt.attempt is not attempt:
            self._doubt = Patience(attempt)
        return self._doubt

    def end_doubt(self) -> None:
        """Let the next lookups have a time limit of their own."""
        self._doubt = None

    def forget_process(self) -> None:
        """Forget what was true of the server's earlier process, the time limit of a prompt that it had included."""
        self.preflight_passed = frozenset()
        self.check.forget()
        self.client.forget_offers()
        self._patience = self._doubt = None

    def note_ages(self) -> None:
        """Note when the server was restarted, before a step of the wall clock can obscure it."""
        self.ages.look(self.server.restart, self.fleet.clock.now(), loop_time())

    def restart_age_s(self, at: float) -> float:
        """Return how long ago this time of the latest restart was. Later steps of the wall clock do not count."""
        self.note_ages()
        return self.ages.age_s(at)

    def give_up(self, stuck: PromptStuck) -> None:
        """Report that the time limit is over. A later look at the prompt has a limit of its own.

        A server that went away with the last look is not reported: its limit is still over when it is back.
        """
        if self.server.state in IN_FLIGHT:
            self._patience = self._doubt = None
            self.post(stuck)

    @property
    def running_hook(self) -> asyncio.Task[RestartFailed | None] | None:
        """The running hook of the open restart, not one that an earlier restart has left running."""
        hook, restart = self.fleet.running_hooks.get(self.config.name), self.server.open_restart
        return hook.task if hook is not None and restart is not None and hook.restart == restart.id else None

    @property
    def contention_left_s(self) -> float:
        """The rest of the pause after models were lost again soon after they were loaded; below 0 once it is over."""
        clock, timing = self.fleet.clock, self.fleet.settings.timing
        pause_s = self.server.contention.pause_s(timing.retry_s, timing.failed_retry_s, clock.uniform)
        return pause_s - (loop_time() - self.lost_at)

    def waits(self, what: Message, seconds: float | None = None, *, at_most: bool = False) -> None:
        """Publish what the server waits for now, and for how long, or how long `at_most`."""
        self.plan(what, seconds, at_most=at_most)
        self.fleet.publisher.progress(self.server)

    def plan(self, what: Message, seconds: float | None, *, at_most: bool = False) -> None:
        """Set what the server waits for, to be published with its next figures."""
        until = None if seconds is None else round(self.fleet.clock.now() + seconds, UNTIL_DIGITS)
        self.server.waiting = Waiting(worded(what, self.fleet.settings.language), until, at_most)

    def note_trouble(self, trouble: Message) -> None:
        """Show this as the newest trouble of the /ws connection."""
        self.detail.link.trouble = worded(trouble, self.fleet.config.settings.language)

    async def wait(self, seconds: float) -> None:
        """Wait, but return early when an event makes another look worthwhile."""
        await self.nudge.wait(seconds)

    async def wait_for_limit(self) -> None:
        """Wait until a rate limit allows requests again. Call it before acquiring a slot or a permit."""
        while (left_s := self.pause.left_s) > 0:
            await self.sleep(message("wait.rate_limit"), left_s * (1.0 + 0.1 * self.fleet.clock.uniform()))

    async def sleep(self, what: Message, seconds: float) -> None:
        """Wait, and publish for what and until when."""
        self.waits(what, seconds)
        await asyncio.sleep(seconds)
