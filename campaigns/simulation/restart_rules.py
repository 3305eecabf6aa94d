"""Rules for restarts by a hook, checked against hooks, the journal's rows and the states of servers."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from campaigns.simulation.restart_times import Moment, RestartTimes
from statemachine.core.restart import DAY_S, RestartCause, RestartStage
from statemachine.core.vocabulary import State
from statemachine.settings.restarts import RestartSettings

BY_PERSONS = frozenset({RestartCause.OPERATOR, RestartCause.ROLLOUT})
OF_WORKING = frozenset({RestartCause.MEMORY, RestartCause.AGE, RestartCause.SCHEDULE})
"""Causes for which only one server of a group at a time is restarted."""

OPEN = frozenset({RestartStage.DRAINING, RestartStage.HOOK, RestartStage.RETURNED})
SLACK_S = 180.0
"""Time for requests without an answer and for a slow disk."""

CLOCKS_S = 1.0
"""How far apart the times of a hook and of its record may be."""


class SavedRestart(NamedTuple):
    """What the journal has of a restart. Times are epoch seconds."""

    server: str
    id: str
    cause: RestartCause
    stage: RestartStage
    requested_at: float
    hook_started_at: float | None = None
    ended_at: float | None = None


@dataclass
class RestartRules:
    """Call `fail(server, what)` for each violation. `at` is loop time."""

    settings: RestartSettings
    warm_within_s: float
    fail: Callable[[str, str], None]
    saved: dict[str, SavedRestart] = field(default_factory=dict)
    """Server → its latest restart in the journal."""
    times: RestartTimes = field(default_factory=RestartTimes)
    latest: dict[str, Moment] = field(default_factory=dict)
    """Server → when its latest restart ended, or else was requested."""
    asked: Counter[str] = field(default_factory=Counter)
    """Restarts of each server that persons have asked for, and whose hook was not run."""
    recorded: set[str] = field(default_factory=set)
    runs: Counter[str] = field(default_factory=Counter)
    running: dict[str, str] = field(default_factory=dict)
    """Server → the restart whose hook runs."""
    hooks: dict[str, list[Moment]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    """Servers that are not in the settings at present."""
    since: dict[str, tuple[State, float]] = field(default_factory=dict)
    """Server → its state out of service, and since when a daemon has been looking after it."""
    returned: dict[str, float] = field(default_factory=dict)
    """Server → since when this daemon knows that it has returned from an open restart."""

    def stored(self, restart: SavedRestart, now: Moment) -> None:
        """Check a row that the journal has committed, against the row before it."""
        before = self.saved.get(restart.server)
        if restart.stage is RestartStage.RETURNED:
            self.returned.setdefault(restart.server, now.at)
        else:
            self.returned.pop(restart.server, None)
        self.saved[restart.server] = restart
        if restart.stage is RestartStage.HOOK:
            self.recorded.add(restart.id)
        if before is None or before.id != restart.id:
            self._check_pause(before, restart, now.when(restart.requested_at).at)
            self._check_alone(restart)
        self.latest[restart.server] = now.when(restart.ended_at or restart.requested_at)

    def _check_pause(self, before: SavedRestart | None, restart: SavedRestart, at: float) -> None:
        """Check the pause before a restart that a trigger asks for."""
        if before is None or restart.cause in BY_PERSONS:
            return
        waited = self.times.age_s(restart.server, self.latest[restart.server], at)
        least = self.settings.min_pause_s
        if before.hook_started_at is None and restart.cause is not RestartCause.STUCK:
            least = max(least, DAY_S / self.settings.max_per_day)
        if waited < least - CLOCKS_S:
            self.fail(restart.server, f"no pause: {restart.cause} asks {waited:.0f} s after the last restart")

    def _check_alone(self, restart: SavedRestart) -> None:
        """Check that no server that works is restarted while another one is."""
        open_ones = [one.server for one in self.saved.values() if one.stage in OPEN and one.server not in self.removed]
        others = [server for server in open_ones if server != restart.server]
        if restart.cause in OF_WORKING and restart.stage in OPEN and others:
            self.fail(restart.server, f"together: {restart.cause} asks while {', '.join(others)} is restarted")

    def hook_began(self, server: str, restart_id: str, cause: RestartCause, now: Moment) -> None:
        """Check that this hook may run."""
        if server in self.running:
            self.fail(server, f"two hooks: that of {self.running[server]} runs, and that of {restart_id} begins")
        self.runs[restart_id] += 1
        if self.runs[restart_id] > 1:
            self.fail(server, f"hook repeated: the hook of restart {restart_id} was run twice")
        if restart_id not in self.recorded:
            self.fail(server, f"hook unrecorded: restart {restart_id} was not in the journal")
        self.running[server] = restart_id
        self._check_limit(server, cause, now)
        self._check_asked(server, cause)

    def _check_limit(self, server: str, cause: RestartCause, now: Moment) -> None:
        times = self.hooks.setdefault(server, [])
        recent = [time for time in times if self.times.age_s(server, time, now.at) < DAY_S - CLOCKS_S]
        times.append(now)
        if cause not in BY_PERSONS and len(recent) >= self.settings.max_per_day:
            self.fail(server, f"too many restarts: {cause} causes one after {len(recent)} within a day")

    def _check_asked(self, server: str, cause: RestartCause) -> None:
        if cause is RestartCause.OPERATOR:
            self.asked[server] -= 1
            if self.asked[server] < 0:
                self.fail(server, "hook unasked: no person asked for this restart")

    def hook_ended(self, server: str, restart_id: str) -> None:
        """Note that a hook no longer runs."""
        if self.running.get(server) == restart_id:
            del self.running[server]

    def reloaded(self, servers: Collection[str], removed: Collection[str]) -> None:
        """Note which servers are in the settings, and which have just left them."""
        self.removed = (self.removed | set(removed)) - set(servers)
        for server in removed:
            self.since.pop(server, None)
            self.returned.pop(server, None)

    def daemon_ended(self) -> None:
        """Note a crash: the daemon's hooks end with it, and its limits of time do not pass meanwhile."""
        self.running.clear()
        self.since.clear()
        self.returned.clear()

    def server_in(self, server: str, state: State, at: float) -> None:
        """Note a server's state after a transition, a start or a reload."""
        if state not in (State.DRAINING, State.RESTARTING):
            self.since.pop(server, None)
        elif self.since.get(server, (None, 0.0))[0] is not state:
            self.since[server] = state, at

    def server_started(self, server: str, state: State, now: Moment, *, is_new: bool) -> None:
        """Check that the task of a server resumes the restart in the journal, if the daemon `is_new`."""
        if is_new or server in self.removed:
            self.times.read[server] = now
        saved = self.saved.get(server)
        if is_new and saved is not None and state is not State.PAUSED:
            expected = {RestartStage.DRAINING: State.DRAINING, RestartStage.HOOK: State.RESTARTING}.get(saved.stage)
            if expected not in (None, state):
                self.fail(server, f"restart forgotten: {state.value} after a start, and its restart is {saved.stage}")
        self.server_in(server, state, now.at)

    def check_bounds(self, at: float) -> None:
        """Check that no server is out of service for longer than a restart may take."""
        limits = {
            State.DRAINING: self.settings.drain_timeout_s + self.settings.hook_timeout_s,
            State.RESTARTING: self.settings.hook_timeout_s + self.settings.return_timeout_s,
        }
        for server, (state, since) in self.since.items():
            if at - since > limits[state] + SLACK_S:
                self.fail(server, f"endless restart: {state.value} for {at - since:.0f} s")
        for server, since in self.returned.items():
            if at - since > self.warm_within_s + SLACK_S:
                self.fail(server, f"endless restart: returned for {at - since:.0f} s")

    def check_end(self, server: str, state: State) -> None:
        """Check at the end that no restart was forgotten."""
        saved = self.saved.get(server)
        is_open = saved is not None and saved.stage in OPEN
        if state in (State.DRAINING, State.RESTARTING) or (is_open and state is State.LOADED):
            stage = saved.stage if saved is not None else "missing"
            self.fail(server, f"restart forgotten: {state.value}, and its restart is {stage}")
