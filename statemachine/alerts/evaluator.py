"""Decide which alerts to announce, from the states of servers and from notices.

An alert that matches a rule is first *pending*, until it has lasted `for_s` without a break. Then it waits in a *group*
for other alerts of the same cause. Then it is announced and stays in an *open incident* until the server is loaded.
Other states do not end an incident: a retry of a failed server is not a recovery. An alert is not announced again
before it has recovered, and one that ends before it is announced is dropped. Pausing or removing a server ends its
alerts without an announcement.

`now` is monotonic time in seconds, `at` is epoch seconds. No clock is read.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from statemachine.alerts.alert import ENDED_STATES, Alert, Announcement, matches, subject_of
from statemachine.alerts.incidents import SILENCE_LOOK_S, Incidents, Key, SentAlert
from statemachine.alerts.overview import ActiveAlert
from statemachine.core.vocabulary import Notice, State
from statemachine.settings.alerting import AlertRule
from statemachine.settings.maintenance import MaintenanceWindow, silenced_by

END_DELAY_S = 120.0
"""Delay between `fleet_back` and its check, because that notice also comes while the network is still down."""

MAX_GATHERS = 4
"""A group waits at most this many times `gather_s` while more alerts of the same cause are about to join."""

ENDED_NOTICES = {
    Notice.FLEET_BACK: Notice.FLEET_VANISHED,
    Notice.JOURNAL_AVAILABLE: Notice.JOURNAL_UNAVAILABLE,
    Notice.NODE_BACK: Notice.NODE_CUT_OFF,
    Notice.SETTINGS_RELOADED: Notice.SETTINGS_REFUSED,
    Notice.DISCOVERY_RECOVERED: Notice.DISCOVERY_FAILED,
}
"""The notice that each of these notices ends."""

FLEET_VANISHED = subject_of(Notice.FLEET_VANISHED)

Cause = tuple[str, State | None, str]
"""Rule, state and reason."""


@dataclass(slots=True)
class _PendingAlert:
    alert: Alert
    due_at: float


@dataclass(slots=True)
class _Group:
    due_at: float
    latest_at: float
    was_silent: bool = False
    members: dict[str, Alert] = field(default_factory=dict)


class AlertEvaluator:
    """Receives every change, and returns the announcements that are due."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.incidents = Incidents(new_id)
        self._gather_s = 0.0
        self._windows: tuple[MaintenanceWindow, ...] = ()
        self._rules: dict[str, AlertRule] = {}
        self._current: dict[str, Alert] = {}
        self._pending: dict[Key, _PendingAlert] = {}
        self._deadlines: list[tuple[float, int, Key]] = []
        self._deadline_ids = itertools.count()
        self._groups: dict[Cause, _Group] = {}
        self._end_checks: dict[str, float] = {}

    def apply(
        self, rules: Iterable[AlertRule], gather_s: float, now: float, windows: tuple[MaintenanceWindow, ...] = ()
    ) -> None:
        """Replace the rules and the windows in which no alert is announced.

        An unchanged rule keeps its alerts, a changed one those that were announced.
        """
        self._gather_s, self._windows = gather_s, windows
        before, self._rules = self._rules, {rule.name: rule for rule in rules}
        changed = {name for name, rule in before.items() if self._rules.get(name) != rule}
        self._pending = {key: one for key, one in self._pending.items() if key[0] not in changed}
        self._groups = {cause: one for cause, one in self._groups.items() if cause[0] not in changed}
        for name in before.keys() - self._rules.keys():
            self.incidents.forget_rule(name)
        for alert in list(self._current.values()):
            self._evaluate(alert, now)

    def restore(self, sent: Iterable[SentAlert], now: float) -> None:
        """Restore what an earlier run has announced. A notice of that run ends unless it comes again."""
        for one in sent:
            rule = self._rules.get(one.rule)
            if rule is not None:
                self._cancel((one.rule, one.alert.subject))
                self.incidents.restore(rule, one)
                self._reevaluate(one.alert, now)

    def _reevaluate(self, restored: Alert, now: float) -> None:
        """Apply the present state of a restored alert, which may have ended."""
        current = self._current.get(restored.subject)
        if current is not None:
            self._evaluate(current, now)
        elif restored.state is None:
            self._current[restored.subject] = restored
            self._end_checks[restored.subject] = now + END_DELAY_S

    def update(self, alert: Alert, now: float) -> None:
        """Receive the new state of a server, good or bad, or a notice that starts."""
        self._current[alert.subject] = alert
        self._end_checks.pop(alert.subject, None)
        self._evaluate(alert, now)

    def end_notice(self, notice: Notice, now: float) -> None:
        """Receive a notice that ends another. The end of `fleet_vanished` is checked after a delay."""
        subject = subject_of(ENDED_NOTICES[notice])
        if subject not in self._current:
            return
        self._pending = {key: one for key, one in self._pending.items() if key[1] != subject}
        if subject == FLEET_VANISHED:
            self._end_checks[subject] = now + END_DELAY_S
        else:
            self._end(subject, now, recovered=True)

    def keep_only(self, servers: Iterable[str], now: float) -> None:
        """Forget all other servers without an announcement."""
        known = self._current.keys() | self.incidents.subjects
        for name in known - set(servers):
            if not name.startswith("#"):
                self._end(name, now, recovered=False)

    def due(self, now: float, at: float) -> list[Announcement]:
        """Return the announcements that are due."""
        self._check_ends(now)
        self._group_pending(now)
        recoveries = self.incidents.recoveries(now, at, self._fleet_size, partial(self._is_silent, at=at))
        return [*recoveries, *self._firings(now, at)]

    def active(self) -> Iterator[ActiveAlert]:
        """Yield every alert that was announced, or waits for others or for the end of a maintenance window."""
        for rule, alert in self.incidents.open_alerts():
            yield ActiveAlert(rule, alert, is_announced=True)
        for cause, group in self._groups.items():
            yield from (ActiveAlert(cause[0], alert, is_announced=False) for alert in group.members.values())

    def next_due(self) -> float | None:
        """Return when `due` must be called next, or None if nothing is pending."""
        times = [self._deadlines[0][0]] if self._deadlines else []
        times += [group.due_at for group in self._groups.values()]
        times += [*self._end_checks.values(), *self.incidents.due_times()]
        return min(times, default=None)

    def _evaluate(self, alert: Alert, now: float) -> None:
        for rule in self._rules.values():
            key = (rule.name, alert.subject)
            if alert.state in ENDED_STATES:
                self._end_for_rule(key, now, recovered=alert.state is State.LOADED)
            elif not matches(rule, alert):
                self._pending.pop(key, None)
            elif key in self._pending:
                pending = self._pending[key]
                pending.alert = replace(alert, since=pending.alert.since)
            elif key not in self.incidents and not self._is_grouped(key):
                self._start(rule, alert, now)

    def _start(self, rule: AlertRule, alert: Alert, now: float) -> None:
        key = (rule.name, alert.subject)
        if not rule.for_s:
            self._group(key, alert, now)
            return
        self._pending[key] = _PendingAlert(alert, now + rule.for_s)
        heapq.heappush(self._deadlines, (now + rule.for_s, next(self._deadline_ids), key))

    def _group_pending(self, now: float) -> None:
        """Group the alerts that were pending for long enough. Skip deadlines of alerts that ended or restarted."""
        while self._deadlines and self._deadlines[0][0] <= now:
            due_at, _, key = heapq.heappop(self._deadlines)
            pending = self._pending.get(key)
            if pending is not None and pending.due_at == due_at:
                del self._pending[key]
                self._group(key, pending.alert, now)

    def _group(self, key: Key, alert: Alert, now: float) -> None:
        cause = (key[0], *alert.cause)
        group = self._groups.get(cause)
        if group is None:
            group = self._groups[cause] = _Group(now + self._gather_s, now + self._gather_s * MAX_GATHERS)
        group.members[alert.subject] = alert

    def _is_grouped(self, key: Key) -> bool:
        return any(cause[0] == key[0] and key[1] in one.members for cause, one in self._groups.items())

    def _firings(self, now: float, at: float) -> Iterator[Announcement]:
        for cause, group in list(self._groups.items()):
            if not group.members:
                del self._groups[cause]
            elif group.due_at <= now:
                rule = self._rules[cause[0]]
                if self._is_explained_by_outage(rule, cause):
                    group.due_at = now + max(self._gather_s, 1.0)
                    self._regroup_changed(rule, cause, group, now)
                elif now < group.latest_at and self._expects_more(cause, now):
                    group.due_at = min(now + self._gather_s, group.latest_at)
                else:
                    yield from self._fire(rule, cause, group, now, at)

    def _fire(self, rule: AlertRule, cause: Cause, group: _Group, now: float, at: float) -> Iterator[Announcement]:
        """Announce the group; keep the members that a window silences, until it ends or their state changes."""
        if group.was_silent:
            self._regroup_changed(rule, cause, group, now)
        silent = {subject: alert for subject, alert in group.members.items() if self._is_silent(alert, at)}
        loud = [alert for subject, alert in group.members.items() if subject not in silent]
        if silent:
            group.members, group.was_silent = silent, True
            group.due_at = group.latest_at = now + SILENCE_LOOK_S
        else:
            del self._groups[cause]
        if loud:
            yield self.incidents.open(rule, loud, at, self._fleet_size)

    def _is_silent(self, alert: Alert, at: float) -> bool:
        """Return whether a maintenance window silences the alert."""
        return silenced_by(self._windows, alert.group, at) is not None

    def _is_explained_by_outage(self, rule: AlertRule, cause: Cause) -> bool:
        """Hold unreachable servers back while all channels of the rule know that the fleet has vanished."""
        if cause[1] is not State.UNREACHABLE:
            return False
        return any(informed.issuperset(rule.to) for informed in self.incidents.informed_channels(FLEET_VANISHED))

    def _regroup_changed(self, rule: AlertRule, cause: Cause, held: _Group, now: float) -> None:
        """Remove the held servers whose state has changed, and group those that still match the rule."""
        for subject, alert in list(held.members.items()):
            current = self._current[subject]
            if current.cause != cause[1:]:
                del held.members[subject]
                if matches(rule, current):
                    self._group((rule.name, subject), replace(current, since=alert.since), now)

    def _expects_more(self, cause: Cause, now: float) -> bool:
        soon = now + self._gather_s
        return any(
            key[0] == cause[0] and one.due_at <= soon and one.alert.cause == cause[1:]
            for key, one in self._pending.items()
        )

    def _end(self, subject: str, now: float, *, recovered: bool) -> None:
        self._current.pop(subject, None)
        self._end_checks.pop(subject, None)
        for rule in self._rules:
            self._end_for_rule((rule, subject), now, recovered=recovered)

    def _end_for_rule(self, key: Key, now: float, *, recovered: bool) -> None:
        self._cancel(key)
        self.incidents.end(key, now, recovered=recovered)

    def _cancel(self, key: Key) -> None:
        """Drop an alert that is pending or grouped."""
        self._pending.pop(key, None)
        for cause, group in self._groups.items():
            if cause[0] == key[0]:
                group.members.pop(key[1], None)

    def _check_ends(self, now: float) -> None:
        """End notices whose delay has passed. A fleet that is still mostly unreachable has not come back."""
        for subject, due_at in list(self._end_checks.items()):
            if due_at <= now:
                if subject == FLEET_VANISHED and self._most_are_unreachable():
                    self._end_checks[subject] = now + END_DELAY_S
                else:
                    self._end(subject, now, recovered=True)

    def _most_are_unreachable(self) -> bool:
        unreachable = sum(one.state is State.UNREACHABLE for one in self._current.values())
        return unreachable * 2 >= max(1, self._fleet_size)

    @property
    def _fleet_size(self) -> int:
        return sum(not name.startswith("#") for name in self._current)
