"""Levels of warmth: where the models of a cached key are. None means that nothing observes the level."""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple


class Level(IntEnum):
    """Where models are, slowest first. KEY: the key is cached, and its models are in neither RAM nor VRAM."""

    KEY = 1
    RAM = 2
    VRAM = 3

    @property
    def word(self) -> str:
        """The public name."""
        return self.name.lower()


LEVELS: Mapping[str, Level] = MappingProxyType({level.word: level for level in Level})
"""The levels by their public names."""


class KeyPlace(NamedTuple):
    """The level of a key's models, and the highest one that they can have on their server."""

    level: Level
    highest: Level = Level.VRAM

    def is_below(self, wanted: Level) -> bool:
        """Return whether the models are below the wanted level although they could be at it, or nearer to it."""
        return self.level < min(wanted, self.highest)


Places = Mapping[str, KeyPlace]
"""The places of those keys whose level the server reports."""

NO_PLACES: Places = MappingProxyType({})
NO_LEVELS: Mapping[str, Level] = MappingProxyType({})


def places_of(keys: Iterable[str], places: Places) -> Places:
    """Return the places of these keys, as far as they are known."""
    return {key: places[key] for key in keys if key in places}


def keys_below(places: Places, wanted: Mapping[str, Level]) -> tuple[str, ...]:
    """Return the keys whose models are below the level that is wanted for them."""
    return tuple(key for key, level in wanted.items() if key in places and places[key].is_below(level))


def lowest(levels: Iterable[Level]) -> Level | None:
    """Return the lowest level, None if none is known."""
    return min(levels, default=None)
