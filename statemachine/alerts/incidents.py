"""Announced alerts that have not ended. An announcement opens an incident, which ends with the last of its alerts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from statemachine.alerts.alert import Alert, Announcement, Kind
from statemachine.settings.alerting import AlertRule

STRAGGLERS_S = 300.0
"""If no alert of an incident recovers for this long, those that have recovered are announced without the rest."""

Key = tuple[str, str]
"""Rule and subject."""


SILENCE_LOOK_S = 5.0
"""The time between two looks whether a maintenance window has ended."""


@dataclass(slots=True)
class Incident:
    """The alerts of one announcement, by subject.

    `recovered` ones are to be announced, `announced` ones are being sent. `is_delivered` is set once the announcement
    that opened the incident was sent or given up.
    """

    id: str
    rule: str
    channels: tuple[str, ...]
    open: dict[str, Alert] = field(default_factory=dict)
    recovered: dict[str, Alert] = field(default_factory=dict)
    announced: dict[str, Alert] = field(default_factory=dict)
    changed_at: float = 0.0
    silent_until: float = 0.0
    is_delivered: bool = False

    @property
    def is_over(self) -> bool:
        """Return whether no alert is left to announce or save."""
        return not (self.open or self.recovered or self.announced)


@dataclass(frozen=True, slots=True)
class SentAlert:
    """An alert that was announced, as it is saved across a restart."""

    rule: str
    incident: str
    alert: Alert


class Incidents:
    """`now` is monotonic time in seconds, `at` is epoch seconds, `fleet` is the number of servers.

    `version` changes whenever `sent_alerts` may have changed.
    """

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._by_key: dict[Key, Incident] = {}
        self._incidents: dict[str, Incident] = {}
        self.version = 0

    def __contains__(self, key: Key) -> bool:
        """Return whether this alert of a rule is open."""
        return key in self._by_key

    def __len__(self) -> int:
        """Return the number of open alerts."""
        return len(self._by_key)

    @property
    def subjects(self) -> set[str]:
        """Return the subjects of all open alerts."""
        return {subject for _, subject in self._by_key}

    def informed_channels(self, subject: str) -> Iterator[frozenset[str]]:
        """Yield the channels of each rule that has announced the subject."""
        return (frozenset(one.channels) for (_, announced), one in self._by_key.items() if announced == subject)

    def open_alerts(self) -> Iterator[tuple[str, Alert]]:
        """Yield each open alert with its rule."""
        for (rule, subject), incident in self._by_key.items():
            yield rule, incident.open[subject]

    def open(self, rule: AlertRule, alerts: Iterable[Alert], at: float, fleet: int) -> Announcement:
        """Open an incident and return its announcement."""
        incident = Incident(self._new_id(), rule.name, rule.to)
        for alert in alerts:
            self._add(incident, alert)
        return self._announcement(Kind.FIRING, incident, incident.open, at, fleet)

    def end(self, key: Key, now: float, *, recovered: bool) -> None:
        """End an alert. If it has not `recovered`, its end is not announced."""
        incident = self._by_key.pop(key, None)
        if incident is not None:
            alert = incident.open.pop(key[1])
            incident.changed_at = now
            self.version += 1
            if recovered:
                incident.recovered[key[1]] = alert

    def recoveries(
        self, now: float, at: float, fleet: int, is_silent: Callable[[Alert], bool] = lambda _: False
    ) -> Iterator[Announcement]:
        """Yield the recovery of each incident that has no open alert, or whose open alerts seem to stay.

        A recovery that a maintenance window silences waits for its end.
        """
        for incident in list(self._incidents.values()):
            if incident.silent_until > now:
                continue
            if any(map(is_silent, incident.recovered.values())):
                incident.silent_until = now + SILENCE_LOOK_S
            elif incident.recovered and (not incident.open or incident.changed_at + STRAGGLERS_S <= now):
                recovered, incident.recovered = incident.recovered, {}
                incident.announced |= recovered
                yield self._announcement(Kind.RECOVERED, incident, recovered, at, fleet)
            elif incident.is_over:
                del self._incidents[incident.id]

    def due_times(self) -> Iterator[float]:
        """Yield when each recovery is due."""
        for incident in self._incidents.values():
            if incident.recovered:
                yield max(incident.silent_until, incident.changed_at + (STRAGGLERS_S if incident.open else 0.0))

    def forget_rule(self, name: str) -> None:
        """Drop the incidents of a removed rule; their recovery is not announced."""
        self.version += 1
        self._by_key = {key: one for key, one in self._by_key.items() if key[0] != name}
        self._incidents = {one.id: one for one in self._incidents.values() if one.rule != name}

    def confirm(self, announcement: Announcement) -> None:
        """Record that an announcement was sent, or given up."""
        incident = self._incidents.get(announcement.incident)
        if incident is None:
            return
        self.version += 1
        if announcement.kind is Kind.FIRING:
            incident.is_delivered = True
            return
        for alert in announcement.alerts:
            incident.announced.pop(alert.subject, None)
        if incident.is_over:
            del self._incidents[incident.id]

    def sent_alerts(self) -> list[SentAlert]:
        """Return the alerts to save: those that were delivered, until their recovery is delivered too."""
        newest = {
            (incident.rule, alert.subject): SentAlert(incident.rule, incident.id, alert)
            for incident in self._incidents.values()
            if incident.is_delivered
            for part in (incident.announced, incident.recovered, incident.open)
            for alert in part.values()
        }
        return list(newest.values())

    def restore(self, rule: AlertRule, sent: SentAlert) -> None:
        """Open a saved alert again, unless it has been announced again meanwhile."""
        if (rule.name, sent.alert.subject) in self:
            return
        restored = Incident(sent.incident, rule.name, rule.to, is_delivered=True)
        self._add(self._incidents.get(sent.incident, restored), sent.alert)

    def _add(self, incident: Incident, alert: Alert) -> None:
        self._incidents[incident.id] = incident
        incident.open[alert.subject] = alert
        self._by_key[incident.rule, alert.subject] = incident

    def _announcement(
        self, kind: Kind, incident: Incident, alerts: dict[str, Alert], at: float, fleet: int
    ) -> Announcement:
        still_open = tuple(incident.open.values()) if kind is Kind.RECOVERED else ()
        return Announcement(
            id=self._new_id(),
            incident=incident.id,
            kind=kind,
            rule=incident.rule,
            channels=incident.channels,
            alerts=tuple(alerts.values()),
            still_open=still_open,
            fleet=fleet,
            at=at,
        )
