"""Pure: turns the answers of sources into the servers of the fleet.

A target that its source no longer lists is kept for a grace period. Then it is removed, if the source's last answer was
usable, and if not too many of that source's targets were removed lately: an answer that is suddenly almost empty is
more often a fault of the source than the end of its servers. A source that fails removes nothing.

No source takes another one's servers: while it is listed, a server of the fleet keeps its source, name and place.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from statemachine.discovery.source_state import Entry, SourceRules, SourceState
from statemachine.discovery.target import Target

NOTHING_RENAMED: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Held:
    """More targets of a source have vanished than may be removed within its window."""

    vanished: int
    known: int
    allowed: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Assigned:
    """A target that is a server of the fleet: its source, and its name there."""

    source: str
    name: str
    target: Target


@dataclass(frozen=True, slots=True)
class ReconciledFleet:
    """The servers that the sources make. `nameless` are the targets whose name another server has."""

    servers: tuple[Assigned, ...]
    nameless: tuple[Assigned, ...] = ()
    beyond: Mapping[str, int] = field(default_factory=dict)
    """Listed targets beyond the bound of the fleet, by their source."""
    excess: Mapping[str, int] = field(default_factory=dict)
    """Listed targets beyond the bound of their source, by its name."""


class Reconciler:
    """What every source has listed. Among new targets the order of the sources decides."""

    def __init__(self) -> None:
        self._sources: dict[str, SourceState] = {}

    def set_sources(self, rules: Sequence[SourceRules], renamed: Mapping[str, str] = NOTHING_RENAMED) -> None:
        """Have these sources, in this order. Known ones keep their targets; those of removed ones are dropped.

        `renamed` has the earlier names of sources by their new names.
        """
        known = self._sources
        found = {one.name: known.get(renamed.get(one.name, one.name)) for one in rules}
        self._sources = {one.name: found[one.name] or SourceState(one) for one in rules}
        for one in rules:
            self._sources[one.name].rules = one

    def restore(self, source: str, targets: Iterable[Target], members: Mapping[str, str]) -> None:
        """Have the targets of an earlier run until the source answers. `members` names its servers by their keys."""
        state = self._sources.get(source)
        if state is not None:
            state.entries, state.members = {target.key: Entry(target) for target in targets}, members

    def update(self, source: str, targets: Iterable[Target], now: float) -> bool:
        """Apply a usable answer of a source; return whether its targets have changed."""
        state = self._sources.get(source)
        return state is not None and state.update(targets, now)

    def fail(self, source: str) -> None:
        """Note that a source gives no usable answer."""
        if source in self._sources:
            self._sources[source].is_usable = False

    def expire(self, now: float) -> bool:
        """Remove the targets whose grace has passed; return whether any was removed."""
        removed = [state.expire(now) for state in self._sources.values()]
        return any(removed)

    def held(self, source: str) -> Held | None:
        """Return the hold on a source of which more targets have vanished than may be removed within its window."""
        state = self._sources.get(source)
        if state is None or not state.is_usable:
            return None
        vanished = len(state.missing())
        if vanished <= state.share:
            return None
        return Held(vanished, len(state.entries), state.share, state.rules.window_s)

    def next_due(self, now: float) -> float | None:
        """Return the loop time at which `expire` may remove a target next."""
        due = (state.next_due(now) for state in self._sources.values())
        return min((one for one in due if one is not None), default=None)

    def targets(self, source: str) -> tuple[Target, ...]:
        """Return the targets of a source, also those that have vanished and are kept."""
        state = self._sources.get(source)
        return tuple(one.target for one in state.entries.values()) if state is not None else ()

    def members(self, source: str) -> Mapping[str, str]:
        """Return the names of the servers that a source makes, by their keys."""
        state = self._sources.get(source)
        return state.members if state is not None else {}

    def name_of(self, source: str, target: Target) -> str:
        """Return the name that a target of a source would have."""
        return self._sources[source].name_of(target)

    def is_listed(self, one: Assigned) -> bool:
        """Return whether the source of a server lists it now."""
        return self._sources[one.source].entries[one.target.key].missing_since is None

    def missing(self, source: str) -> int:
        """Return how many targets a source no longer lists."""
        state = self._sources.get(source)
        return len(state.missing()) if state is not None else 0

    def fleet(self, keys: Collection[str], names: Collection[str], most: int) -> ReconciledFleet:
        """Return the servers that the sources make, at most so many, and remember them.

        `keys` and `names` are taken: those of the servers in the settings. A target that is listed now is named before
        one that has vanished, so that a new server may have the name of an old one.
        """
        named = self._named(self._chosen(keys))
        owners = self._owners(named)
        wanted = [one for one in named if owners[one.name] is one and one.name not in names]
        limited = self._limited(wanted)
        servers = self._placed(limited, most)
        nameless = [one for one in without(named, wanted) if self.is_listed(one)]
        excess, beyond = self._listed(without(wanted, limited)), self._listed(without(limited, servers))
        self._remember(servers)
        return ReconciledFleet(tuple(servers), tuple(nameless), beyond, excess)

    def _chosen(self, taken: Collection[str]) -> Mapping[str, SourceState]:
        """Return for each address the source whose server it is."""
        chosen: dict[str, SourceState] = {}
        for state in self._sources.values():
            for key in state.entries:
                if key not in taken:
                    other = chosen.setdefault(key, state)
                    if other is not state and state.precedence(key) < other.precedence(key):
                        chosen[key] = state
        return chosen

    def _named(self, chosen: Mapping[str, SourceState]) -> list[Assigned]:
        """Return these targets with their names, in the order of the sources."""
        return [
            Assigned(state.rules.name, state.name_of(entry.target), entry.target)
            for state in self._sources.values()
            for key, entry in state.entries.items()
            if chosen.get(key) is state
        ]

    def _owners(self, named: Sequence[Assigned]) -> Mapping[str, Assigned]:
        """Return for each name the target that has it."""
        owners: dict[str, Assigned] = {}
        for one in named:
            other = owners.setdefault(one.name, one)
            if other is not one and self._claim(one) < self._claim(other):
                owners[one.name] = one
        return owners

    def _claim(self, one: Assigned) -> tuple[bool, bool]:
        return self._sources[one.source].claim(one.target.key, one.name)

    def _limited(self, servers: Sequence[Assigned]) -> Sequence[Assigned]:
        """Return the servers without those beyond the bounds of their sources."""
        bounds = {name: state.rules.max_servers for name, state in self._sources.items()}
        counts = Counter(one.source for one in servers)
        is_exceeded = any(count > bounds[name] for name, count in counts.items())
        return self._first(servers, bounds) if is_exceeded else servers

    def _listed(self, servers: Sequence[Assigned]) -> Counter[str]:
        """Return how many of these servers each source lists."""
        return Counter(one.source for one in servers if self.is_listed(one))

    def _placed(self, servers: Sequence[Assigned], most: int) -> Sequence[Assigned]:
        """Return at most so many. A source has room for its servers of the fleet; what is left is for new ones."""
        if len(servers) <= most:
            return servers
        wanted = Counter(one.source for one in servers)
        held = Counter(one.source for one in servers if one.target.key in self._sources[one.source].members)
        free, rooms = most - held.total(), dict[str, int]()
        for name in self._sources:
            added = max(0, min(free, wanted[name] - held[name]))
            rooms[name], free = held[name] + added, free - added
        return self._first(servers, rooms)[:most]

    def _first(self, servers: Sequence[Assigned], rooms: Mapping[str, int]) -> Sequence[Assigned]:
        """Return so many servers of each source, in the present order: listed ones first, of these known ones."""
        by_source: dict[str, list[Assigned]] = {}
        for one in servers:
            by_source.setdefault(one.source, []).append(one)
        kept = set[str]()
        for name, ones in by_source.items():
            ranked = sorted((one.target.key for one in ones), key=self._sources[name].precedence)
            kept.update(ranked[: rooms[name]])
        return [one for one in servers if one.target.key in kept]

    def _remember(self, servers: Sequence[Assigned]) -> None:
        members: dict[str, dict[str, str]] = {name: {} for name in self._sources}
        for one in servers:
            members[one.source][one.target.key] = one.name
        for name, state in self._sources.items():
            state.set_members(members[name])


def without(servers: Sequence[Assigned], others: Sequence[Assigned]) -> Sequence[Assigned]:
    """Return those of the servers that are not among the others, which are a part of them."""
    if len(servers) == len(others):
        return ()
    kept = {one.target.key for one in others}
    return [one for one in servers if one.target.key not in kept]
