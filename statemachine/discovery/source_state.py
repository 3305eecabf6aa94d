"""Pure: the targets of one source, from the first answer that names them until their grace has passed."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from statemachine.discovery.target import MAX_TARGETS, Target
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
    max_servers: int = MAX_TARGETS

    @classmethod
    def of(cls, source: Source) -> "SourceRules":
        """Return the rules of a section of the settings."""
        return cls(source.name, source.grace_s, source.name_label, source.max_servers)

    @property
    def window_s(self) -> float:
        """The time within which at most a share of the targets is removed."""
        return max(self.grace_s, LEAST_WINDOW_S)


@dataclass(slots=True)
class Entry:
    """A target, and since when its source no longer lists it."""

    target: Target
    missing_since: float | None = None


@dataclass(slots=True)
class SourceState:
    """The targets of one source by their keys, in the order in which it first listed them.

    `members` names those that are servers of the fleet as this source's.
    """

    rules: SourceRules
    entries: dict[str, Entry] = field(default_factory=dict)
    members: Mapping[str, str] = field(default_factory=dict)
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
            self.entries[key] = Entry(target)
            return True
        changed = entry.missing_since is not None or entry.target != target
        entry.target, entry.missing_since = target, None
        return changed

    def name_of(self, target: Target) -> str:
        """Return the name that a target would have."""
        label = self.rules.name_label
        return (target.labels.get(label) if label is not None else None) or target.name

    def precedence(self, key: str) -> tuple[bool, bool]:
        """Return the order in which targets have places: listed ones first, of these the servers of the fleet."""
        return self.entries[key].missing_since is not None, key not in self.members

    def claim(self, key: str, name: str) -> tuple[bool, bool]:
        """Return the same for a name: of several listed targets the one that has it keeps it."""
        return self.entries[key].missing_since is not None, self.members.get(key) != name

    def set_members(self, members: Mapping[str, str]) -> None:
        """Note which targets are servers of the fleet, and forget others that are no longer listed."""
        self.members = members
        strangers = [key for key, one in self.entries.items() if one.missing_since is not None and key not in members]
        for key in strangers:
            del self.entries[key]

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
