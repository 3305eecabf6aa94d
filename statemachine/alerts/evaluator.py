"""Who is in which trouble for how long, and what is to be said of it: pure, with the time passed in.

A trouble that a rule is about passes through three places: *pending* until it has lasted `for_s` without a break,
*gathering* until others of the same cause have come together, *told* until the server is loaded again. Only `loaded`
ends what has been told: a new try of a failed server is no recovery. Pausing and removing a server end it silently.
Nothing is told twice before it has recovered, and what is over before it is told is not told.

`now` is seconds on a steady clock, `at` epoch seconds.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from statemachine.alerts.alert import OVER, Alert, Announcement, concerns, subject_of
from statemachine.alerts.incidents import Incidents, Key, SentAlert
from statemachine.core.vocabulary import Notice, State
from statemachine.settings.alerting import AlertRule

SETTLE_S = 120.0
"""How long after `fleet_back` the fleet is looked at: the hold ends also where the network is still away."""

GATHERS = 4
"""A message waits for at most so many times `gather_s` while more of the same is about to come."""

BEGINNINGS = {
    Notice.FLEET_BACK: Notice.FLEET_VANISHED,
    Notice.JOURNAL_AVAILABLE: Notice.JOURNAL_UNAVAILABLE,
    Notice.NODE_BACK: Notice.NODE_CUT_OFF,
    Notice.SETTINGS_RELOADED: Notice.SETTINGS_REFUSED,
}
"""What each of these notices ends."""

VANISHED = subject_of(Notice.FLEET_VANISHED)

Cause = tuple[str, State | None, str]
"""Rule, state and reason."""


@dataclass(slots=True)
class _PendingAlert:
    trouble: Alert
    due_at: float


@dataclass(slots=True)
class _Gathering:
    flush_at: float
    until: float
    members: dict[str, Alert] = field(default_factory=dict)


class AlertEvaluator:
    """Hears of every change and says, when asked, what is due."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.incidents = Incidents(new_id)
        self._gather_s = 0.0
        self._rules: dict[str, AlertRule] = {}
        self._standing: dict[str, Alert] = {}
        self._pending: dict[Key, _PendingAlert] = {}
        self._agenda: list[tuple[float, int, Key]] = []
        self._entries = itertools.count()
        self._gathering: dict[Cause, _Gathering] = {}
        self._settling: dict[str, float] = {}

    def apply(self, rules: Iterable[AlertRule], gather_s: float, now: float) -> None:
        """Go by these rules. A rule that stays the same loses nothing; of a changed one, what has been told stays."""
        self._gather_s = gather_s
        before, self._rules = self._rules, {rule.name: rule for rule in rules}
        changed = {name for name, rule in before.items() if self._rules.get(name) != rule}
        self._pending = {key: one for key, one in self._pending.items() if key[0] not in changed}
        self._gathering = {cause: one for cause, one in self._gathering.items() if cause[0] not in changed}
        for name in before.keys() - self._rules.keys():
            self.incidents.forget_rule(name)
        for trouble in list(self._standing.values()):
            self._see(trouble, now)

    def restore(self, told: Iterable[SentAlert], now: float) -> None:
        """Take up what an earlier run has told. A notice of that time is over unless it comes again."""
        for one in told:
            rule = self._rules.get(one.rule)
            if rule is not None:
                self._withdraw((one.rule, one.trouble.subject))
                self.incidents.restore(rule, one)
                self._resume(one.trouble, now)

    def _resume(self, trouble: Alert, now: float) -> None:
        """It may be over already."""
        standing = self._standing.get(trouble.subject)
        if standing is not None:
            self._see(standing, now)
        elif trouble.state is None:
            self._standing[trouble.subject] = trouble
            self._settling[trouble.subject] = now + SETTLE_S

    def see(self, trouble: Alert, now: float) -> None:
        """A server is in this state, or a notice has begun; it may be nothing bad."""
        self._standing[trouble.subject] = trouble
        self._settling.pop(trouble.subject, None)
        self._see(trouble, now)

    def see_end(self, notice: Notice, now: float) -> None:
        """A notice has come that ends another. A vanished fleet is believed to be back when it is seen."""
        subject = subject_of(BEGINNINGS[notice])
        if subject not in self._standing:
            return
        self._pending = {key: one for key, one in self._pending.items() if key[1] != subject}
        if subject == VANISHED:
            self._settling[subject] = now + SETTLE_S
        else:
            self._end(subject, now, recovered=True)

    def keep_only(self, servers: Iterable[str], now: float) -> None:
        """Forget every other server, silently."""
        known = self._standing.keys() | self.incidents.subjects
        for name in known - set(servers):
            if not name.startswith("#"):
                self._end(name, now, recovered=False)

    def due(self, now: float, at: float) -> list[Announcement]:
        """What is to be said now."""
        self._settle(now)
        self._ripen(now)
        recoveries = self.incidents.recoveries(now, at, self._servers)
        return [*recoveries, *self._firings(now, at)]

    def next_due(self) -> float | None:
        """When `due` will next have something to do; None if nothing is under way."""
        times = [self._agenda[0][0]] if self._agenda else []
        times += [gathering.flush_at for gathering in self._gathering.values()]
        times += [*self._settling.values(), *self.incidents.times()]
        return min(times, default=None)

    def _see(self, trouble: Alert, now: float) -> None:
        for rule in self._rules.values():
            key = (rule.name, trouble.subject)
            if trouble.state in OVER:
                self._end_for(key, now, recovered=trouble.state is State.LOADED)
            elif not concerns(rule, trouble):
                self._pending.pop(key, None)
            elif key in self._pending:
                pending = self._pending[key]
                pending.trouble = replace(trouble, since=pending.trouble.since)
            elif key not in self.incidents and not self._is_gathering(key):
                self._begin(rule, trouble, now)

    def _begin(self, rule: AlertRule, trouble: Alert, now: float) -> None:
        key = (rule.name, trouble.subject)
        if not rule.for_s:
            self._gather(key, trouble, now)
            return
        self._pending[key] = _PendingAlert(trouble, now + rule.for_s)
        heapq.heappush(self._agenda, (now + rule.for_s, next(self._entries), key))

    def _ripen(self, now: float) -> None:
        """Pending for long enough. The agenda may hold what has been dropped or begun anew meanwhile."""
        while self._agenda and self._agenda[0][0] <= now:
            due_at, _, key = heapq.heappop(self._agenda)
            pending = self._pending.get(key)
            if pending is not None and pending.due_at == due_at:
                del self._pending[key]
                self._gather(key, pending.trouble, now)

    def _gather(self, key: Key, trouble: Alert, now: float) -> None:
        cause = (key[0], *trouble.cause)
        gathering = self._gathering.get(cause)
        if gathering is None:
            gathering = _Gathering(now + self._gather_s, now + self._gather_s * GATHERS)
            self._gathering[cause] = gathering
        gathering.members[trouble.subject] = trouble

    def _is_gathering(self, key: Key) -> bool:
        return any(cause[0] == key[0] and key[1] in one.members for cause, one in self._gathering.items())

    def _firings(self, now: float, at: float) -> Iterator[Announcement]:
        for cause, gathering in list(self._gathering.items()):
            if not gathering.members:
                del self._gathering[cause]
            elif gathering.flush_at <= now:
                rule = self._rules[cause[0]]
                if self._is_part_of_vanishing(rule, cause):
                    gathering.flush_at = now + max(self._gather_s, 1.0)
                    self._release_others(rule, cause, gathering, now)
                elif now < gathering.until and self._more_is_coming(cause, now):
                    gathering.flush_at = min(now + self._gather_s, gathering.until)
                else:
                    del self._gathering[cause]
                    yield self.incidents.tell(rule, gathering.members.values(), at, self._servers)

    def _is_part_of_vanishing(self, rule: AlertRule, cause: Cause) -> bool:
        """While the channels of this rule know that the fleet has vanished, silent servers are no news to them."""
        if cause[1] is not State.UNREACHABLE:
            return False
        return any(knowing.issuperset(rule.to) for knowing in self.incidents.channels_that_know(VANISHED))

    def _release_others(self, rule: AlertRule, cause: Cause, held: _Gathering, now: float) -> None:
        """Of those that are held, some may answer by now: they are in trouble of their own, or in none."""
        for subject, trouble in list(held.members.items()):
            standing = self._standing[subject]
            if standing.cause != cause[1:]:
                del held.members[subject]
                if concerns(rule, standing):
                    self._gather((rule.name, subject), replace(standing, since=trouble.since), now)

    def _more_is_coming(self, cause: Cause, now: float) -> bool:
        soon = now + self._gather_s
        return any(
            key[0] == cause[0] and one.due_at <= soon and one.trouble.cause == cause[1:]
            for key, one in self._pending.items()
        )

    def _end(self, subject: str, now: float, *, recovered: bool) -> None:
        self._standing.pop(subject, None)
        self._settling.pop(subject, None)
        for rule in self._rules:
            self._end_for((rule, subject), now, recovered=recovered)

    def _end_for(self, key: Key, now: float, *, recovered: bool) -> None:
        self._withdraw(key)
        self.incidents.end(key, now, recovered=recovered)

    def _withdraw(self, key: Key) -> None:
        """What is not told yet will not be."""
        self._pending.pop(key, None)
        for cause, gathering in self._gathering.items():
            if cause[0] == key[0]:
                gathering.members.pop(key[1], None)

    def _settle(self, now: float) -> None:
        """A fleet that is silent still, after the brake's hold has ended, has not come back."""
        for subject, when in list(self._settling.items()):
            if when <= now:
                if subject == VANISHED and self._most_are_silent():
                    self._settling[subject] = now + SETTLE_S
                else:
                    self._end(subject, now, recovered=True)

    def _most_are_silent(self) -> bool:
        silent = sum(one.state is State.UNREACHABLE for one in self._standing.values())
        return silent * 2 >= max(1, self._servers)

    @property
    def _servers(self) -> int:
        return sum(not name.startswith("#") for name in self._standing)
