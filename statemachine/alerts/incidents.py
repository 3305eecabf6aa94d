"""What has been told and is not over: one incident for each message, until everything that it named is over."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from statemachine.alerts.alert import Alert, Announcement, Kind
from statemachine.settings.alerting import AlertRule

STRAGGLERS_S = 300.0
"""When no more servers of an incident recover for so long, those that have are told without waiting for the rest."""

Key = tuple[str, str]
"""Rule and subject."""


@dataclass(slots=True)
class Incident:
    """What one message told: `open` is not over, `recovered` is to be told, `parting` is on its way out.

    `is_settled`: the message has reached whom it should.
    """

    id: str
    rule: str
    to: tuple[str, ...]
    open: dict[str, Alert] = field(default_factory=dict)
    recovered: dict[str, Alert] = field(default_factory=dict)
    parting: dict[str, Alert] = field(default_factory=dict)
    changed_at: float = 0.0
    is_settled: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be said or remembered."""
        return not (self.open or self.recovered or self.parting)


@dataclass(frozen=True, slots=True)
class SentAlert:
    """One trouble that has been told, as it is remembered over a restart."""

    rule: str
    incident: str
    trouble: Alert


class Incidents:
    """`now` is seconds on a steady clock, `at` epoch seconds, `fleet` the number of servers."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._by_key: dict[Key, Incident] = {}
        self._incidents: dict[str, Incident] = {}
        self.version = 0
        """Grows whenever `told` may have changed."""

    def __contains__(self, key: Key) -> bool:
        return key in self._by_key

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def subjects(self) -> set[str]:
        """All that has been told of."""
        return {subject for _, subject in self._by_key}

    def channels_that_know(self, subject: str) -> Iterator[frozenset[str]]:
        """For each rule that told of the subject, whom it told."""
        return (frozenset(one.to) for (_, told), one in self._by_key.items() if told == subject)

    def tell(self, rule: AlertRule, troubles: Iterable[Alert], at: float, fleet: int) -> Announcement:
        """Begin an incident of these."""
        incident = Incident(self._new_id(), rule.name, rule.to)
        for trouble in troubles:
            self._put(incident, trouble)
        return self._announcement(Kind.FIRING, incident, incident.open, at, fleet)

    def end(self, key: Key, now: float, *, recovered: bool) -> None:
        """It is over; where it has not `recovered` (paused, removed) nothing will be said."""
        incident = self._by_key.pop(key, None)
        if incident is not None:
            trouble = incident.open.pop(key[1])
            incident.changed_at = now
            self.version += 1
            if recovered:
                incident.recovered[key[1]] = trouble

    def recoveries(self, now: float, at: float, fleet: int) -> Iterator[Announcement]:
        """One for each incident that is over as a whole, or whose rest seems to stay."""
        for incident in list(self._incidents.values()):
            if incident.recovered and (not incident.open or incident.changed_at + STRAGGLERS_S <= now):
                recovered, incident.recovered = incident.recovered, {}
                incident.parting |= recovered
                yield self._announcement(Kind.RECOVERED, incident, recovered, at, fleet)
            elif incident.is_over:
                del self._incidents[incident.id]

    def times(self) -> Iterator[float]:
        """When `recoveries` will have something to say."""
        for incident in self._incidents.values():
            if incident.recovered:
                yield incident.changed_at + (STRAGGLERS_S if incident.open else 0.0)

    def forget_rule(self, name: str) -> None:
        """A rule that is gone recovers nothing."""
        self.version += 1
        self._by_key = {key: one for key, one in self._by_key.items() if key[0] != name}
        self._incidents = {one.id: one for one in self._incidents.values() if one.rule != name}

    def settle(self, announcement: Announcement) -> None:
        """It has reached whom it should, or never will."""
        incident = self._incidents.get(announcement.incident)
        if incident is None:
            return
        self.version += 1
        if announcement.kind is Kind.FIRING:
            incident.is_settled = True
            return
        for trouble in announcement.troubles:
            incident.parting.pop(trouble.subject, None)
        if incident.is_over:
            del self._incidents[incident.id]

    def told(self) -> list[SentAlert]:
        """What to remember over a restart: what has reached people, until its end has reached them too."""
        newest = {
            (incident.rule, trouble.subject): SentAlert(incident.rule, incident.id, trouble)
            for incident in self._incidents.values()
            if incident.is_settled
            for part in (incident.parting, incident.recovered, incident.open)
            for trouble in part.values()
        }
        return list(newest.values())

    def restore(self, rule: AlertRule, told: SentAlert) -> None:
        """Take up again what an earlier run has told, unless it has been told again meanwhile."""
        if (rule.name, told.trouble.subject) in self:
            return
        fresh = Incident(told.incident, rule.name, rule.to, is_settled=True)
        self._put(self._incidents.get(told.incident, fresh), told.trouble)

    def _put(self, incident: Incident, trouble: Alert) -> None:
        self._incidents[incident.id] = incident
        incident.open[trouble.subject] = trouble
        self._by_key[incident.rule, trouble.subject] = incident

    def _announcement(
        self, kind: Kind, incident: Incident, about: dict[str, Alert], at: float, fleet: int
    ) -> Announcement:
        still = tuple(incident.open.values()) if kind is Kind.RECOVERED else ()
        return Announcement(
            id=self._new_id(),
            incident=incident.id,
            kind=kind,
            rule=incident.rule,
            to=incident.to,
            troubles=tuple(about.values()),
            still=still,
            fleet=fleet,
            at=at,
        )
