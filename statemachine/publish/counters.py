"""What has happened in each group since the daemon's start: counted where it happens, read by /metrics.

Counts live here and not with the servers, so that taking a server out of the settings never lowers one.
"""

from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from statemachine.core.attempt import OPEN_OUTCOMES, Attempt, Outcome
from statemachine.core.table import TABLE
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.publish.message import Message, Topic

disable_created_metrics()  # type: ignore[no-untyped-call]  # one series more for each count, which nobody reads

CHECK_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WARM_UP_BUCKETS_S = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

DIAGNOSES = (
    Reason.CHECK_ABSENT,
    Reason.ACCESS_DENIED,
    Reason.PROMPT_REFUSED,
    Reason.MISSING_NODES,
    Reason.MISSING_MODELS,
    Reason.WORKFLOW_NOT_API_FORMAT,
)
"""With what a server becomes `failed` where the table leaves the reason to the event."""

EXPECTED = frozenset(
    {(row.dest, row.reason) for row in TABLE if row.reason is not None}
    | {(State.FAILED, reason) for reason in DIAGNOSES}
    | {(State.UNKNOWN, reason) for reason in (Reason.PROMPT_LOST, Reason.SERVER_RESTARTED)}
)
"""Where a transition may lead, and why."""

ENDS = tuple(outcome for outcome in Outcome if outcome not in OPEN_OUTCOMES)


class Counters:
    """Written on the loop, read from any thread. A label's values are words of ours, or groups of the settings."""

    def __init__(self) -> None:
        self._groups: set[str] = set()
        self._transitions = _counter(
            "transitions", "Changes of state, by the state they led to and the reason.", "group", "state", "reason"
        )
        self._notices = _counter("notices", "Notices, which concern more than one server.", "notice")
        self._checks = _histogram(
            "check_duration_seconds", "How long answered cache checks took.", CHECK_BUCKETS_S, "group"
        )
        self._unanswered = _counter("unanswered_checks", "Cache checks that no answer came to.", "group")
        self._warm_ups = _counter("warmups", "Ended warm-ups, by how they ended.", "group", "outcome")
        self._warm_up_durations = _histogram(
            "warmup_duration_seconds",
            "How long warm-ups that succeeded took, from submission to proved end.",
            WARM_UP_BUCKETS_S,
            "group",
        )
        self._warm_up_limit = _gauge("warmup_limit", "Warm-ups that may be in flight at once.")
        self._held = _gauge("verdicts_held", "1 while verdicts are held because most servers fell silent at once.")
        self._reload_succeeded = _gauge("settings_last_reload_successful", "0 after changed settings were refused.")
        self._alerts = _counter(
            "alerts", "Alerts, by where they were to go and what became of them.", "channel", "outcome"
        )
        self._firing = _gauge("alerts_firing", "Alerts that have been raised and not yet been recovered from.")
        self._lag = _histogram(
            "event_loop_lag_seconds", "How much later than asked for the event loop woke a sleeper.", LAG_BUCKETS_S
        )
        self._reload_succeeded.set(1)
        for notice in Notice:
            self._notices.labels(notice.value)

    @property
    def collectors(self) -> list[MetricWrapperBase]:
        """All of them, to be registered."""
        return [value for value in vars(self).values() if isinstance(value, MetricWrapperBase)]

    def begin(self, groups: Iterable[str]) -> None:
        """Show every count of these groups from zero on: a rate does not see a series' first value."""
        for group in set(groups) - self._groups:
            self._groups.add(group)
            for state, reason in EXPECTED:
                self._transitions.labels(group, state.value, reason.value)
            for outcome in ENDS:
                self._warm_ups.labels(group, outcome.value)
            for family in (self._checks, self._unanswered, self._warm_up_durations):
                family.labels(group)

    def told(self, message: Message) -> None:
        """Count what the bus tells."""
        if message.topic is Topic.TRANSITION and message.state is not None:
            self._transitions.labels(message.group, message.state.value, message.reason).inc()
        elif message.topic is Topic.NOTICE and message.reason is not None:
            self._notices.labels(message.reason).inc()
            self._heed(message.reason)

    def _heed(self, notice: str) -> None:
        """Remember what lasts of a notice."""
        if notice in (Notice.FLEET_VANISHED, Notice.FLEET_BACK):
            self._held.set(notice == Notice.FLEET_VANISHED)
        elif notice in (Notice.SETTINGS_REFUSED, Notice.SETTINGS_RELOADED):
            self._reload_succeeded.set(notice == Notice.SETTINGS_RELOADED)

    def check_answered(self, group: str, seconds: float) -> None:
        """An answer to a cache check came after so long."""
        self._checks.labels(group).observe(seconds)

    def check_unanswered(self, group: str) -> None:
        """No answer came to a cache check."""
        self._unanswered.labels(group).inc()

    def warm_up_ended(self, group: str, attempt: Attempt) -> None:
        """The end of a warm-up is proved."""
        self._warm_ups.labels(group, attempt.outcome.value).inc()
        if attempt.outcome is Outcome.SUCCEEDED and attempt.ended_at is not None:
            self._warm_up_durations.labels(group).observe(max(0.0, attempt.ended_at - attempt.created_at))

    def warm_ups_limited(self, limit: int) -> None:
        """So many warm-ups may be in flight from now on."""
        self._warm_up_limit.set(limit)

    def alert(self, channel: str, outcome: str) -> None:
        """This became of an alert that was to go to a channel of the settings."""
        self._alerts.labels(channel, outcome).inc()

    def alerts_stand(self, firing: int) -> None:
        """So many alerts have been raised and not yet been recovered from."""
        self._firing.set(firing)

    def loop_lagged(self, seconds: float) -> None:
        """A sleeper was woken so much too late."""
        self._lag.observe(seconds)


def _counter(name: str, help_text: str, *labels: str) -> Counter:
    return Counter(f"comfywarm_{name}", help_text, labels, registry=None)


def _gauge(name: str, help_text: str) -> Gauge:
    return Gauge(f"comfywarm_{name}", help_text, registry=None)


def _histogram(name: str, help_text: str, buckets: Sequence[float], *labels: str) -> Histogram:
    return Histogram(f"comfywarm_{name}", help_text, labels, registry=None, buckets=buckets)
