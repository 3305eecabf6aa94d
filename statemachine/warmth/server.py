"""The warmth of one server, computed from its transitions. The package's docstring defines the terms."""

from array import array
from bisect import bisect_right

from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import IN_FLIGHT, Reason, State
from statemachine.warmth.timeline import Period, Timeline

INEFFECTIVE = frozenset({Reason.CACHED_WITHOUT_LOADING.value, Reason.STILL_COLD_AFTER_SUCCESS.value})
"""Verdicts that turn a successful prompt into a failed attempt."""

FAILED_ENDS = frozenset(
    {
        Reason.PROMPT_REFUSED.value,
        Reason.PROMPT_FAILED.value,
        Reason.OUT_OF_MEMORY.value,
        Reason.PROMPT_INTERRUPTED.value,
        Reason.PROMPT_LOST.value,
        Reason.WARM_UP_ENDS_SERVER.value,
        Reason.SERVER_RESTARTED.value,
        Reason.QUEUE_STUCK.value,
    }
)
"""Reasons that end a prompt in flight as failed. Other reasons leave its end open; it is found out later."""

KEEPS_VERDICT = frozenset({State.LOADED, State.UNKNOWN, State.CHECKING})
"""States in which `loaded` is still the last verdict."""

AWAY = frozenset({State.UNREACHABLE, State.PAUSED, State.RESTARTING})

NOT_EVICTED = frozenset({Reason.SERVER_RESTARTED.value, Reason.LINK_LOST.value, Reason.SETTINGS_CHANGED.value})
"""Reasons other than an eviction for missing keys. A lost connection may hide a restart of the server."""


class ServerWarmth:
    """One server's history. `last_at` is the time of its newest entry, `run` the index of the run that wrote it."""

    __slots__ = (
        "_cold_since",
        "_counted_prompt",
        "_succeeded_at",
        "_was_loaded",
        "attempts",
        "evictions",
        "failed",
        "last_at",
        "run",
        "state",
        "timeline",
        "warmed_at",
        "warmed_in",
    )

    def __init__(self, run: int) -> None:
        self.run = run
        self.last_at = 0.0
        self.state: State | None = None
        self.timeline = Timeline()
        self.warmed_at, self.warmed_in = array("d"), array("d")
        self.evictions = array("d")
        self.attempts = array("d")
        self.failed: dict[str, array[float]] = {}
        self._reset()
        self._counted_prompt: str | None = None

    def add(self, entry: LogEntry) -> None:
        """Add the server's next transition. If the clock was set back, time stands still until it has caught up."""
        at = max(entry.at, self.last_at)
        if entry.source is not self.state:
            self.set_unknown(self.last_at)
        self._count_attempt(entry, at)
        self._count_eviction(entry, at)
        self._time_warming(entry, at)
        self.timeline.set_level(at, _level(entry.dest))
        self.state, self.last_at = entry.dest, at

    def set_unknown(self, at: float) -> None:
        """Make the server's state unknown from `at` until the next entry."""
        self.timeline.set_level(max(at, self.last_at), Period.UNWATCHED)
        self.state = None
        self._reset()

    def _reset(self) -> None:
        self._was_loaded = False
        self._cold_since: float | None = None
        self._succeeded_at: float | None = None

    def _count_attempt(self, entry: LogEntry, at: float) -> None:
        ended = entry.source in IN_FLIGHT and (entry.reason in FAILED_ENDS or entry.reason == Reason.PROMPT_SUCCEEDED)
        if ended and (entry.prompt_id is None or entry.prompt_id != self._counted_prompt):
            self._counted_prompt = entry.prompt_id
            self.attempts.append(at)
            if entry.reason in FAILED_ENDS:
                self._fail(entry.reason, at)
        elif entry.reason in INEFFECTIVE and self._succeeded_at is not None:
            self._fail(entry.reason, self._succeeded_at)
        if entry.reason == Reason.PROMPT_SUCCEEDED:
            self._succeeded_at = at
        elif entry.reason in INEFFECTIVE:
            self._succeeded_at = None

    def _fail(self, reason: str, at: float) -> None:
        self.failed.setdefault(reason, array("d")).append(at)

    def _count_eviction(self, entry: LogEntry, at: float) -> None:
        if self._was_loaded and entry.dest in (State.COLD, State.AUTO_EXECUTING):
            self.evictions.append(at)
        keeps_verdict = entry.dest in KEEPS_VERDICT and entry.reason not in NOT_EVICTED
        self._was_loaded = entry.dest is State.LOADED or (self._was_loaded and keeps_verdict)

    def _time_warming(self, entry: LogEntry, at: float) -> None:
        if entry.dest is State.LOADED:
            if self._cold_since is not None and self._succeeded_at is not None:
                self.warmed_at.append(at)
                self.warmed_in.append(at - self._cold_since)
            self._cold_since = self._succeeded_at = None
        elif entry.dest in AWAY:
            self._cold_since = None
        elif entry.dest is State.COLD and self._cold_since is None:
            self._cold_since, self._succeeded_at = at, None

    def prune(self, horizon: float) -> None:
        """Drop what windows that begin after `horizon` (epoch seconds) do not need."""
        self.timeline.prune(horizon)
        expired = bisect_right(self.warmed_at, horizon)
        del self.warmed_at[:expired], self.warmed_in[:expired]
        for times in (self.evictions, self.attempts, *self.failed.values()):
            del times[: bisect_right(times, horizon)]


def _level(state: State | None) -> Period:
    if state is State.PAUSED:
        return Period.UNWATCHED
    return Period.WARM if state is State.LOADED else Period.NOT_WARM
