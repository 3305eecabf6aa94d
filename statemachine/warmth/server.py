"""What the transitions of one server mean for its warmth. The words are explained in the package's docstring."""

from array import array
from bisect import bisect_right

from statemachine.core.log_entry import LogEntry
from statemachine.core.vocabulary import IN_FLIGHT, Reason, Source, State
from statemachine.warmth.timeline import Level, Timeline

FRUITLESS = frozenset({Reason.CACHED_WITHOUT_LOADING.value, Reason.STILL_COLD_AFTER_SUCCESS.value})
"""Verdicts that make a success a failure."""

CUT_SHORT = frozenset(
    {
        Reason.JOURNAL_UNAVAILABLE.value,
        Reason.PROMPT_REFUSED.value,
        Reason.MISSING_NODES.value,
        Reason.MISSING_MODELS.value,
        Reason.WORKFLOW_NOT_API_FORMAT.value,
        Reason.PROMPT_FAILED.value,
        Reason.OUT_OF_MEMORY.value,
        Reason.PROMPT_INTERRUPTED.value,
        Reason.PROMPT_LOST.value,
        Reason.SERVER_RESTARTED.value,
        Reason.QUEUE_STUCK.value,
    }
)
"""Reasons by which a prompt in flight ends badly. Others only take it out of sight: it is settled later."""

VERDICT_STANDS = frozenset({State.LOADED, State.UNKNOWN, State.CHECKING})
"""States through which `loaded` is still what was known last."""

AWAY = frozenset({State.UNREACHABLE, State.PAUSED})

NOT_EVICTED = frozenset({Reason.SERVER_RESTARTED.value, Reason.LINK_LOST.value, Reason.SETTINGS_CHANGED.value})
"""Reasons other than an eviction why keys may be missing. A lost connection hides whether the server was restarted."""


class ServerWarmth:
    """One server's past. `heard_at` is the time of its newest entry, `life` that of the daemon which wrote it."""

    __slots__ = (
        "_cold_since",
        "_counted",
        "_succeeded_at",
        "_was_loaded",
        "attempts",
        "evictions",
        "failed",
        "heard_at",
        "life",
        "state",
        "timeline",
        "warmed_at",
        "warmed_in",
    )

    def __init__(self, life: int) -> None:
        self.life = life
        self.heard_at = 0.0
        self.state: State | None = None
        self.timeline = Timeline()
        self.warmed_at, self.warmed_in = array("d"), array("d")
        self.evictions = array("d")
        self.attempts = array("d")
        self.failed: dict[str, array[float]] = {}
        self._lose_sight()
        self._counted: str | None = None

    def take(self, entry: LogEntry) -> None:
        """The server's next transition. A clock that was set back stands still until it has caught up."""
        at = max(entry.at, self.heard_at)
        if entry.source is not self.state:
            self.break_off(self.heard_at)
        self._count_attempt(entry, at)
        self._count_eviction(entry, at)
        self._time_warming(entry, at)
        self.timeline.turn(at, _level(entry.dest))
        self.state, self.heard_at = entry.dest, at

    def break_off(self, at: float) -> None:
        """Nothing is known from `at` on until the next entry."""
        self.timeline.turn(max(at, self.heard_at), Level.APART)
        self.state = None
        self._lose_sight()

    def _lose_sight(self) -> None:
        self._was_loaded = False
        self._cold_since: float | None = None
        self._succeeded_at: float | None = None

    def _count_attempt(self, entry: LogEntry, at: float) -> None:
        ended = entry.source in IN_FLIGHT and (entry.reason in CUT_SHORT or entry.reason == Reason.PROMPT_SUCCEEDED)
        if ended and (entry.prompt_id is None or entry.prompt_id != self._counted):
            self._counted = entry.prompt_id
            self.attempts.append(at)
            if entry.reason in CUT_SHORT:
                self._fail(entry.reason, at)
        elif entry.witness is Source.PREFLIGHT:
            self.attempts.append(at)
            self._fail(entry.reason, at)
        elif entry.reason in FRUITLESS and self._succeeded_at is not None:
            self._fail(entry.reason, self._succeeded_at)
        if entry.reason == Reason.PROMPT_SUCCEEDED:
            self._succeeded_at = at
        elif entry.reason in FRUITLESS:
            self._succeeded_at = None

    def _fail(self, reason: str, at: float) -> None:
        self.failed.setdefault(reason, array("d")).append(at)

    def _count_eviction(self, entry: LogEntry, at: float) -> None:
        if self._was_loaded and entry.dest in (State.COLD, State.AUTO_EXECUTING):
            self.evictions.append(at)
        kept = entry.dest in VERDICT_STANDS and entry.reason not in NOT_EVICTED
        self._was_loaded = entry.dest is State.LOADED or (self._was_loaded and kept)

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

    def forget_before(self, horizon: float) -> None:
        """Drop what no window that begins after `horizon` (epoch seconds) needs."""
        self.timeline.forget_before(horizon)
        gone = bisect_right(self.warmed_at, horizon)
        del self.warmed_at[:gone], self.warmed_in[:gone]
        for times in (self.evictions, self.attempts, *self.failed.values()):
            del times[: bisect_right(times, horizon)]


def _level(state: State | None) -> Level:
    if state is State.PAUSED:
        return Level.APART
    return Level.WARM if state is State.LOADED else Level.COOL
