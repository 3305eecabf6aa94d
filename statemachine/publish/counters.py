"""Counters of each group since the daemon's start, for /metrics.

They belong to groups and not to servers, so that removing a server from the settings never lowers a counter.
"""

from collections.abc import Collection, Iterable, Sequence

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics import MetricWrapperBase

from statemachine.core.restart import OPEN_STAGES, Restart, RestartCause, RestartStage
from statemachine.core.server import OPEN_OUTCOMES, Attempt, Outcome
from statemachine.core.table import TABLE
from statemachine.core.vocabulary import Notice, Reason, State
from statemachine.publish.serialize import StreamMessage, Topic

disable_created_metrics()  # type: ignore[no-untyped-call]  # an unused extra series for each counter

CHECK_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WARM_UP_BUCKETS_S = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

DIAGNOSES = (
    Reason.CHECK_ABSENT,
    Reason.ACCESS_DENIED,
    Reason.CACHE_DISABLED,
    Reason.CACHE_TOO_SMALL,
    Reason.PROMPT_REFUSED,
    Reason.MISSING_NODES,
    Reason.MISSING_MODELS,
    Reason.WORKFLOW_NOT_API_FORMAT,
    Reason.WORKFLOW_MISSING,
)
"""Reasons for `failed` that the event determines, and not the table."""

EXPECTED = frozenset(
    {(row.dest, row.reason) for row in TABLE if row.reason is not None}
    | {(State.FAILED, reason) for reason in DIAGNOSES}
    | {(State.UNKNOWN, reason) for reason in (Reason.PROMPT_LOST, Reason.SERVER_RESTARTED)}
    | {(State.UNKNOWN, reason) for reason in (Reason.DRAIN_TIMED_OUT, Reason.JOURNAL_UNAVAILABLE, Reason.HOOK_MISSING)}
    | {(State.FAILED, reason) for reason in (Reason.HOOK_FAILED, Reason.NOT_RETURNED, Reason.NOT_RESTARTED)}
)
"""Every state and reason that a transition may lead to."""

ENDED_STAGES = tuple(stage for stage in RestartStage if stage not in OPEN_STAGES)
ENDED_OUTCOMES = tuple(outcome for outcome in Outcome if outcome not in OPEN_OUTCOMES)


class Counters:
    """Counters that are written on the event loop and read from any thread.

    Label values are fixed words or come from the settings, never from a server's response.
    """

    def __init__(self) -> None:
        self._groups: set[str] = set()
        self._empty: frozenset[str] = frozenset()
        self._transitions = _counter(
            "transitions", "Changes of state, by new state and reason.", "group", "state", "reason"
        )
        self._notices = _counter("notices", "Notices, which concern more than one server.", "notice")
        self._checks = _histogram(
            "check_duration_seconds", "Duration of cache checks that received a response.", CHECK_BUCKETS_S, "group"
        )
        self._unanswered = _counter("unanswered_checks", "Cache checks that received no response.", "group")
        self._warm_ups = _counter("warmups", "Warm-ups that ended, by outcome.", "group", "outcome")
        self._warm_up_durations = _histogram(
            "warmup_duration_seconds",
            "Duration of successful warm-ups, from submission to confirmed end.",
            WARM_UP_BUCKETS_S,
            "group",
        )
        self._restarts = _counter("restarts", "Restarts that ended, by cause and outcome.", "group", "cause", "outcome")
        self._warm_up_limit = _gauge("warmup_limit", "Maximum number of warm-ups in flight.")
        self._held = _gauge(
            "verdicts_held", "1 while verdicts are held because most servers became unreachable at once."
        )
        self._reload_succeeded = _gauge(
            "settings_last_reload_successful", "0 if the latest reload of the settings was rejected, else 1."
        )
        self._alerts = _counter("alerts", "Alerts, by channel and outcome.", "channel", "outcome")
        self._firing = _gauge("alerts_firing", "Alerts that are firing.")
        self._lag = _histogram("event_loop_lag_seconds", "Delay of timers on the event loop.", LAG_BUCKETS_S)
        self._reload_succeeded.set(1)
        for notice in Notice:
            self._notices.labels(notice.value)

    @property
    def collectors(self) -> list[MetricWrapperBase]:
        """All collectors, for a registry."""
        return [value for value in vars(self).values() if isinstance(value, MetricWrapperBase)]

    def add_groups(self, groups: Iterable[str]) -> None:
        """Start every counter of new groups at 0, because `rate()` ignores the first value of a series."""
        for group in set(groups) - self._groups:
            self._groups.add(group)
            for state, reason in EXPECTED:
                self._transitions.labels(group, state.value, reason.value)
            for outcome in ENDED_OUTCOMES:
                self._warm_ups.labels(group, outcome.value)
            for cause in RestartCause:
                for stage in ENDED_STAGES:
                    self._restarts.labels(group, cause.value, stage.value)
            for family in (self._checks, self._unanswered, self._warm_up_durations):
                family.labels(group)

    def forget_groups(self, present: Collection[str]) -> None:
        """Drop the series of groups without servers, also at the last call: groups of labels come and go."""
        families = self._by_group
        known = {values[0] for family in families for values in _label_values(family)}
        gone = (known & self._empty).difference(present)
        for family in families:
            for values in [values for values in _label_values(family) if values[0] in gone]:
                family.remove(*values)
        self._groups -= gone
        self._empty = frozenset(known.difference(present, gone))

    @property
    def _by_group(self) -> tuple[MetricWrapperBase, ...]:
        """The families whose first label is the group."""
        return (
            self._transitions,
            self._checks,
            self._unanswered,
            self._warm_ups,
            self._warm_up_durations,
            self._restarts,
        )

    def count_message(self, message: StreamMessage) -> None:
        """Count the message of a log entry."""
        if message.topic is Topic.TRANSITION and message.state is not None:
            self._transitions.labels(message.group, message.state.value, message.reason).inc()
        elif message.topic is Topic.NOTICE and message.reason is not None:
            self._notices.labels(message.reason).inc()
            self._set_lasting(message.reason)

    def _set_lasting(self, notice: str) -> None:
        """Set the gauge of a condition that the notice begins or ends."""
        if notice in (Notice.FLEET_VANISHED, Notice.FLEET_BACK):
            self._held.set(notice == Notice.FLEET_VANISHED)
        elif notice in (Notice.SETTINGS_REFUSED, Notice.SETTINGS_RELOADED):
            self._reload_succeeded.set(notice == Notice.SETTINGS_RELOADED)

    def check_answered(self, group: str, seconds: float) -> None:
        """Record the duration of a cache check that received a response."""
        self._checks.labels(group).observe(seconds)

    def check_unanswered(self, group: str) -> None:
        """Count a cache check that received no response."""
        self._unanswered.labels(group).inc()

    def warm_up_ended(self, group: str, attempt: Attempt) -> None:
        """Count a warm-up whose end is confirmed."""
        self._warm_ups.labels(group, attempt.outcome.value).inc()
        if attempt.outcome is Outcome.SUCCEEDED and attempt.ended_at is not None:
            self._warm_up_durations.labels(group).observe(max(0.0, attempt.ended_at - attempt.created_at))

    def restart_ended(self, group: str, restart: Restart) -> None:
        """Count a restart that has ended."""
        self._restarts.labels(group, restart.cause.value, restart.stage.value).inc()

    def set_warm_up_limit(self, limit: int) -> None:
        """Set the maximum number of warm-ups in flight."""
        self._warm_up_limit.set(limit)

    def alert_handled(self, channel: str, outcome: str) -> None:
        """Count an alert for a channel by its outcome."""
        self._alerts.labels(channel, outcome).inc()

    def set_firing_alerts(self, firing: int) -> None:
        """Set the number of firing alerts."""
        self._firing.set(firing)

    def observe_loop_lag(self, seconds: float) -> None:
        """Record by how much a timer was late."""
        self._lag.observe(seconds)


def _label_values(family: MetricWrapperBase) -> set[tuple[str, ...]]:
    """Return the labels of each series; the buckets of a histogram are one."""
    samples = (sample for metric in family.collect() for sample in metric.samples)
    return {tuple(value for label, value in one.labels.items() if label != "le") for one in samples}


def _counter(name: str, help_text: str, *labels: str) -> Counter:
    return Counter(f"comfywarm_{name}", help_text, labels, registry=None)


def _gauge(name: str, help_text: str) -> Gauge:
    return Gauge(f"comfywarm_{name}", help_text, registry=None)


def _histogram(name: str, help_text: str, buckets: Sequence[float], *labels: str) -> Histogram:
    return Histogram(f"comfywarm_{name}", help_text, labels, registry=None, buckets=buckets)
