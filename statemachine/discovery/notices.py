"""What the discovery records in the event log."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from statemachine.core.messages import Message, joined, message
from statemachine.core.vocabulary import Notice
from statemachine.discovery.reconciler import Assigned, Held, ReconciledFleet
from statemachine.discovery.source import Followed
from statemachine.settings import ServerConfig
from statemachine.settings.expand import MAX_SERVERS

Notify = Callable[[Notice, Message], None]

REFUSED_PAUSE_S = 60.0
"""Least time between two notices about the refused servers of a source."""


class DiscoveryNotices:
    """Records each condition once, also where sources repeat it with every answer."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._refused: dict[str, tuple[frozenset[str], float]] = {}
        self._pending: dict[str, float] = {}
        self._failing: set[str] = set()
        self._held = frozenset[str]()
        self._held_until: dict[str, float] = {}
        self._is_applied = True

    def changed(self, before: Sequence[ServerConfig], after: Sequence[ServerConfig]) -> None:
        """Record which servers came, went and changed. They are applied."""
        self._is_applied = True
        old, new = {one.name: one for one in before}, {one.name: one for one in after}
        added, removed = [name for name in new if name not in old], [name for name in old if name not in new]
        changed = sum(1 for name, one in new.items() if name in old and old[name] != one)
        summary = message("servers_reconfigured", added=len(added), removed=len(removed), changed=changed)
        named = [("servers_added", added), ("servers_removed", removed)]
        parts = [summary, *(Message(code, {"names": names}) for code, names in named if names)]
        self._notify(Notice.DISCOVERY_CHANGED, joined(parts))

    def failed(self, source: str, why: Message) -> None:
        """Record that a source gives no usable answer."""
        self._failing.add(source)
        self._notify(Notice.DISCOVERY_FAILED, message("source_fails", source=source, why=why))

    def answered(self, source: str) -> None:
        """Record that a source whose failure was recorded answers again."""
        if source in self._failing:
            self._recovered(source, "source_answers")

    def _recovered(self, source: str, code: str) -> None:
        self._failing.remove(source)
        detail = message(code, source=source)
        if self._failing:
            detail = message(f"{code}_others_fail", source=source, others=sorted(self._failing))
        self._notify(Notice.DISCOVERY_RECOVERED, detail)

    def not_applied(self, error: Exception) -> None:
        """Record that the servers could not be applied, which is tried again."""
        was_applied, self._is_applied = self._is_applied, False
        if was_applied:
            self._notify(Notice.DISCOVERY_REFUSED, message("internal_error", error=type(error).__name__))

    def held(self, source: str, held: Held | None, now: float) -> None:
        """Record that more targets of a source have vanished than may be removed, not again within its window."""
        was_held, self._held = source in self._held, self._held - {source}
        if held is None:
            return
        self._held |= {source}
        if not was_held and now >= self._held_until.get(source, -math.inf):
            self._held_until[source] = now + held.window_s
            self._notify(Notice.DISCOVERY_HELD, message("source_held", source=source, why=why_held(held)))

    def refused(self, sources: Iterable[Followed], now: float) -> None:
        """Record why servers of sources cannot be used: at first, and when there are other reasons than before.

        What changes sooner than the least pause is recorded after it.
        """
        self._pending = {}
        for one in sources:
            name, kinds = one.source.name, frozenset(_kinds(one))
            known, due = self._refused.get(name, (frozenset(), -math.inf))
            if kinds == known or not kinds:
                continue
            if now < due:
                self._pending[name] = due
                continue
            self._refused[name] = kinds, now + REFUSED_PAUSE_S
            why = joined([*(refusal.message for refusal in one.refusals), *one.placeless])
            self._notify(Notice.DISCOVERY_REFUSED, message("source_refuses", source=name, why=why))

    @property
    def next_due(self) -> float | None:
        """The loop time at which `refused` may record what it has not recorded yet."""
        return min(self._pending.values(), default=None)

    def forget(self, sources: Collection[str]) -> None:
        """Forget sources that are not in the settings now; the failure of one that failed is over."""
        for name in sorted(self._failing.difference(sources)):
            self._recovered(name, "source_removed")
        for known in (self._refused, self._held_until, self._pending):
            for name in [one for one in known if one not in sources]:
                known.pop(name)


def placeless(one: Followed, fleet: ReconciledFleet, nameless: Iterable[Assigned]) -> Iterator[Message]:
    """Yield why listed targets of a source have no place in the fleet. `nameless` are its targets without a name."""
    name = one.source.name
    for other in nameless:
        address = other.target.address.host_and_port
        yield message("target_name_taken", target=address, name=other.name)
    if name in fleet.excess:
        yield message("targets_excess", count=fleet.excess[name], max=one.source.max_servers)
    if name in fleet.beyond:
        yield message("source_beyond", count=fleet.beyond[name], max=MAX_SERVERS)


def why_held(held: Held) -> Message:
    """Return how many targets of a source have vanished, and how many of them may be removed."""
    return message("targets_held", vanished=held.vanished, known=held.known, count=held.allowed, seconds=held.window_s)


def _kinds(one: Followed) -> Iterator[str]:
    """Yield what stays equal while only the details of the reasons change."""
    yield from (refusal.why.code for refusal in one.refusals)
    yield from (f"{reason.code} {reason.params.get('name', '')}" for reason in one.placeless)
