"""The servers that the sources make: their configurations, where they come from, and what has no place in the fleet."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from statemachine.discovery.configs import DiscoveredConfigs
from statemachine.discovery.notices import placeless
from statemachine.discovery.reconciler import Assigned, ReconciledFleet, Reconciler
from statemachine.discovery.source import Followed, NameTakenError, NoPlaceError
from statemachine.discovery.source_state import SourceRules
from statemachine.discovery.store import KnownTargets
from statemachine.discovery.target import MAX_REFUSALS, Target, address_key
from statemachine.settings import ServerConfig, Settings
from statemachine.settings.discovery import Source
from statemachine.settings.expand import MAX_SERVERS


@dataclass(frozen=True, slots=True)
class Counts:
    """Servers of the fleet that come from a source, and targets that it no longer lists."""

    servers: int
    missing: int


class Assembly:
    """Completes the servers of the settings by those that `reconciler` finds in the answers of the sources."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler
        self._configs = DiscoveredConfigs()
        self._taken: tuple[Set[str], Set[str]] = frozenset(), frozenset()
        self._room = MAX_SERVERS
        self._fleet = ReconciledFleet(())
        self._origins: dict[str, Assigned] = {}
        self._keys: Set[str] = frozenset()
        self._https: Set[str] = frozenset()
        self._per_source = Counter[str]()
        self._missing = Counter[str]()
        self.servers: tuple[ServerConfig, ...] = ()
        self.known = KnownTargets()

    def configure(self, settings: Settings, servers: Sequence[ServerConfig], renamed: Mapping[str, str]) -> None:
        """Use these settings, whose own servers are `servers`. Renamed sources keep their targets."""
        self._taken = frozenset(address_key(one.url) for one in servers), frozenset(one.name for one in servers)
        self._room = MAX_SERVERS - len(servers)
        self._configs.configure(settings)
        self._reconciler.set_sources([SourceRules.of(one) for one in settings.discovery], renamed)

    def recompute(self, sources: Iterable[str]) -> None:
        """Compute the servers from what the sources have listed."""
        self._fleet = self._reconciler.fleet(*self._taken, self._room)
        servers = self._configs.build(self._fleet.servers)
        if servers != self.servers:
            self.servers = servers
        self._origins = {one.name: one for one in self._fleet.servers}
        self._keys = {one.target.key for one in self._fleet.servers}
        self._https = {one.target.key for one in self._fleet.servers if one.target.is_https}
        self._per_source = Counter(one.source for one in self._fleet.servers)
        names = list(sources)
        self._missing = Counter({name: self._reconciler.missing(name) for name in names})
        self.known = KnownTargets(
            {name: self._reconciler.targets(name) for name in names},
            {name: self._reconciler.members(name) for name in names},
        )

    def origin(self, server: str) -> Assigned | None:
        """Return where a server comes from, None if it is in the settings."""
        return self._origins.get(server)

    def is_https(self, key: str) -> bool:
        """Return whether the server of a key is reached by https."""
        return key in self._https

    def counts(self, source: str) -> Counts:
        """Return how many servers of the fleet come from a source."""
        return Counts(self._per_source[source], self._missing[source])

    def require_place(self, source: Source, target: Target) -> None:
        """Raise NameTakenError or NoPlaceError if a target cannot be a server of the fleet now."""
        if target.key in self._taken[0] or target.key in self._keys:
            return
        name = self._reconciler.name_of(source.name, target)
        owner = self._origins.get(name)
        if name in self._taken[1] or (owner is not None and self._reconciler.is_listed(owner)):
            raise NameTakenError(name)
        if self._missing[source.name] or owner is not None:
            return
        if self._per_source[source.name] >= source.max_servers:
            raise NoPlaceError(source.max_servers)
        if len(self._fleet.servers) >= self._room:
            raise NoPlaceError(MAX_SERVERS)

    def place(self, sources: Iterable[Followed]) -> None:
        """Note at each source why targets that it lists have no place in the fleet."""
        nameless: dict[str, list[Assigned]] = {}
        for server in self._fleet.nameless:
            nameless.setdefault(server.source, []).append(server)
        for one in sources:
            name = one.source.name
            one.placeless = tuple(placeless(one, self._fleet, nameless.get(name, [])[:MAX_REFUSALS]))


def renamed_sources(before: Sequence[Source], after: Sequence[Source]) -> Mapping[str, str]:
    """Return the earlier names, by the new ones, of sources of which only the name has changed."""
    old_names, new_names = {one.name for one in before}, {one.name for one in after}
    gone = [one for one in before if one.name not in new_names]
    found: dict[str, str] = {}
    for source in (one for one in after if one.name not in old_names):
        same = [one for one in gone if one.model_copy(update={"name": source.name}) == source]
        if same:
            found[source.name] = same[0].name
            gone.remove(same[0])
    return found
