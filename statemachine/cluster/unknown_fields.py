"""Fields of a later version in a shared value, which this version keeps when it writes the value again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statemachine.cluster.values import Json

MOST_BYTES = 16_384
"""Unknown fields of one value that are kept; the values of a whole fleet are in memory."""


@dataclass(frozen=True, slots=True)
class UnknownFields:
    """The unknown keys, and what follows the known items of a list or stands beside the known keys of an object.

    What belongs to a known list or object is kept until that changes, because it may depend on it.
    """

    keys: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """By key: the known value as it was read, and the rest."""

    def added_to(self, known: Json) -> Json:
        """Return the known fields with the unknown ones."""
        parts = {key: _joined(known[key], rest) for key, (read, rest) in self.parts.items() if known.get(key) == read}
        return {**self.keys, **known, **parts}


NOTHING_UNKNOWN = UnknownFields()


def unknown_fields(stored: Json, known: Json) -> UnknownFields:
    """Return what a stored value has beyond the known fields, as this version would write them."""
    keys = {key: value for key, value in stored.items() if key not in known}
    rests = ((key, value, _rest(value, stored.get(key))) for key, value in known.items())
    return UnknownFields(keys, {key: (value, rest) for key, value, rest in rests if rest})


def _rest(known: Any, stored: Any) -> Any:
    if isinstance(known, list | tuple) and isinstance(stored, list):
        return stored[len(known) :]
    if isinstance(known, dict) and isinstance(stored, dict):
        return {key: value for key, value in stored.items() if key not in known}
    return None


def _joined(known: Any, rest: Any) -> Any:
    return {**rest, **known} if isinstance(known, dict) else [*known, *rest]
