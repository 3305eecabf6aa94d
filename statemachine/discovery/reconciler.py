"""Pure: turns the answers of sources into the servers of the fleet.

A target that its source no longer lists is kept for a grace period. Then it is removed, if the source's last answer was
usable, and if not too many of that source's targets were removed lately: an answer that is suddenly almost empty is
more often a fault of the source than the end of its servers. A source that fails removes nothing.
"""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from statemachine.discovery.target import Target
from statemachine.settings.discovery import Source

SHARE = 0.2
"""Share of a source's targets that may be removed within one window; at least one target."""

LEAST_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class SourceRules:
    """How the targets of one source are treated. Loop times and durations are in seconds."""

    name: str
    grace_s: float
    name_label: str | None = None

    @classmethod
    def of(cls, source: Source) -> "SourceRules":
        """Return the rules of a section of the settings."""
        return cls(source.name, source.grace_s, source.name_label)

    @property
    def window_s(self) -> float:
        """The time within which at most a share of the targets is removed."""
        return max(self.grace_s, LEAST_WINDOW_S)


@dataclass(frozen=True, slots=True)
class Held:
    """More targets of a source have vanished than may be removed within its window."""

    source: str
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
    beyond: int = 0
    """Targets beyond the bound of the fleet."""


@dataclass(slots=True)
class _Entry:
    target: Target
    missing_since: float | None = None


@dataclass(slots=True)
class _SourceState:
    """The targets of one source by their keys, in the order in which it first listed them."""

    rules: SourceRules
    entries: dict[str, _Entry] = field(default_factory=dict)
    is_usable: bool = False
    removed_at: deque[float] = field(default_factory=deque)

    def update(self, targets: Iterable[Target], now: float) -> bool:
        """Apply a usable answer; return whether the targets have changed."""
        self.is_usable = True
        listed: dict[str, Target] = {}
        for target in targets:
            listed.setdefault(target.key, target)
        changed = False
        for key, target in listed.items():
            changed |= self._list(key, target)
        for key, entry in self.entries.items():
            if key not in listed and entry.missing_since is None:
                entry.missing_since, changed = now, True
        return changed

    def _list(self, key: str, target: Target) -> bool:
        entry = self.entries.get(key)
        if entry is None:
            self.entries[key] = _Entry(target)
            return True
        changed = entry.missing_since is not None or entry.target != target
        entry.target, entry.missing_since = target, None
        return changed

    def missing(self) -> list[tuple[float, str]]:
        """Return the targets that the source no longer lists, those that vanished first before the others."""
        return sorted((one.missing_since, key) for key, one in self.entries.items() if one.missing_since is not None)

    def allowed(self, now: float) -> int:
        """Return how many targets may be removed now."""
        while self.removed_at and now - self.removed_at[0] >= self.rules.window_s:
            self.removed_at.popleft()
        return self.share - len(self.removed_at)

    @property
    def share(self) -> int:
        """The number of targets that may be removed within one window."""
        return max(1, int(SHARE * (len(self.entries) + len(self.removed_at))))

    def expire(self, now: float) -> bool:
        """Remove the targets whose grace has passed, as far as it is allowed; return whether any was removed."""
        due = [key for since, key in self.missing() if now - since >= self.rules.grace_s] if self.is_usable else []
        chosen = due[: max(0, self.allowed(now))] if due else []
        for key in chosen:
            del self.entries[key]
            self.removed_at.append(now)
        return bool(chosen)

    def next_due(self, now: float) -> float | None:
        """Return the loop time at which a target may be removed next, None if nothing is to be removed."""
        missing = self.missing() if self.is_usable else []
        if not missing:
            return None
        due = missing[0][0] + self.rules.grace_s
        return due if self.allowed(now) > 0 else max(due, self.removed_at[0] + self.rules.window_s)


class Reconciler:
    """What every source has listed. The order of the sources decides where several list the same address."""

    def __init__(self) -> None:
        self._sources: dict[str, _SourceState] = {}

    def set_sources(self, rules: Sequence[SourceRules]) -> None:
        """Have these sources, in this order. Known ones keep their targets; those of removed ones are dropped."""
        known = self._sources
        self._sources = {one.name: known.get(one.name) or _SourceState(one) for one in rules}
        for one in rules:
            self._sources[one.name].rules = one

    def restore(self, source: str, targets: Iterable[Target]) -> None:
        """Have the targets of an earlier run until the source answers."""
        state = self._sources.get(source)
        if state is not None:
            state.entries = {target.key: _Entry(target) for target in targets}

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
        return Held(source, vanished, len(state.entries), state.share, state.rules.window_s)

    def next_due(self, now: float) -> float | None:
        """Return the loop time at which `expire` may remove a target next."""
        due = (state.next_due(now) for state in self._sources.values())
        return min((one for one in due if one is not None), default=None)

    def targets(self, source: str) -> tuple[Target, ...]:
        """Return the targets of a source, also those that have vanished and are kept."""
        state = self._sources.get(source)
        return tuple(one.target for one in state.entries.values()) if state is not None else ()

    def missing(self, source: str) -> int:
        """Return how many targets a source no longer lists."""
        state = self._sources.get(source)
        return len(state.missing()) if state is not None else 0

    def fleet(self, keys: Collection[str], names: Collection[str], most: int) -> ReconciledFleet:
        """Return the servers that the sources make, at most so many.

        `keys` and `names` are taken: those of the servers in the settings. A target that is listed now is named before
        one that has vanished, so that a new server may have the name of an old one.
        """
        chosen = self._chosen(keys)
        named = {key: self._named(one) for key, one in chosen.items()}
        owners = _owners(chosen, named, names)
        servers = tuple(one for key, one in named.items() if owners.get(one.name) == key)
        nameless = tuple(
            one for key, one in named.items() if owners.get(one.name) != key and self._is_listed(chosen[key])
        )
        return ReconciledFleet(servers[:most], nameless, max(0, len(servers) - most))

    def _chosen(self, taken: Collection[str]) -> Mapping[str, tuple[_SourceState, _Entry]]:
        """Return for each address the first source that has it."""
        chosen: dict[str, tuple[_SourceState, _Entry]] = {}
        for state in self._sources.values():
            for key, entry in state.entries.items():
                if key not in taken:
                    chosen.setdefault(key, (state, entry))
        return chosen

    @staticmethod
    def _named(one: tuple[_SourceState, _Entry]) -> Assigned:
        rules, target = one[0].rules, one[1].target
        own = target.labels.get(rules.name_label) if rules.name_label is not None else None
        return Assigned(rules.name, own or target.name, target)

    @staticmethod
    def _is_listed(one: tuple[_SourceState, _Entry]) -> bool:
        return one[1].missing_since is None


def _owners(
    chosen: Mapping[str, tuple[_SourceState, _Entry]], named: Mapping[str, Assigned], taken: Collection[str]
) -> Mapping[str, str | None]:
    """Return for each name the address that has it, None if it is a server of the settings."""
    owners: dict[str, str | None] = dict.fromkeys(taken)
    for key in _listed_first(chosen):
        owners.setdefault(named[key].name, key)
    return owners


def _listed_first(chosen: Mapping[str, tuple[_SourceState, _Entry]]) -> Iterator[str]:
    yield from (key for key, (_, entry) in chosen.items() if entry.missing_since is None)
    yield from (key for key, (_, entry) in chosen.items() if entry.missing_since is not None)
