"""What the discovery records in the event log."""

from collections.abc import Callable, Iterable, Sequence

from statemachine.core.messages import Message, joined, message
from statemachine.core.vocabulary import Notice
from statemachine.discovery.followed import Followed
from statemachine.discovery.reconciler import Held, ReconciledFleet
from statemachine.settings import ServerConfig
from statemachine.settings.expand import MAX_SERVERS

Notify = Callable[[Notice, Message], None]


class DiscoveryNotices:
    """Records each condition once, also where sources repeat it with every answer."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify
        self._refused: Message | None = None
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
        self._notify(Notice.DISCOVERY_FAILED, message("source_fails", source=source, why=why))

    def recovered(self, source: str) -> None:
        """Record that this source answers again, and that no other one fails."""
        self._notify(Notice.DISCOVERY_RECOVERED, message("source_answers", source=source))

    def not_applied(self, error: Exception) -> None:
        """Record that the servers could not be applied, which is tried again."""
        was_applied, self._is_applied = self._is_applied, False
        if was_applied:
            self._notify(Notice.DISCOVERY_REFUSED, message("internal_error", error=type(error).__name__))

    def held(self, one: Followed, held: Held | None) -> None:
        """Record that more targets of a source have vanished than may be removed."""
        if held is not None and not one.is_held:
            vanished = message("source_held", source=held.source, vanished=held.vanished, known=held.known)
            limit = message("source_held_limit", count=held.allowed, seconds=held.window_s)
            self._notify(Notice.DISCOVERY_HELD, joined([vanished, limit]))
        one.is_held = held is not None

    def refused(self, sources: Iterable[Followed], fleet: ReconciledFleet) -> None:
        """Record the targets that cannot be used."""
        found = [*_refused_targets(sources), *_refused_servers(fleet)]
        text = joined(found) if found else None
        if text is not None and text != self._refused:
            self._notify(Notice.DISCOVERY_REFUSED, text)
        self._refused = text


def _refused_targets(sources: Iterable[Followed]) -> Iterable[Message]:
    for one in sources:
        if one.refusals:
            why = joined([refusal.message for refusal in one.refusals])
            yield message("source_refuses", source=one.source.name, why=why)


def _refused_servers(fleet: ReconciledFleet) -> Iterable[Message]:
    for one in fleet.nameless:
        address = one.target.address.host_and_port
        yield message("source_name_taken", source=one.source, target=address, name=one.name)
    if fleet.beyond:
        yield message("source_beyond", count=fleet.beyond, max=MAX_SERVERS)
