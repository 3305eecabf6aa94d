"""Fields of a later version in a shared value, which this version keeps when it writes the value again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from statemachine.cluster.values import Json

MOST_BYTES = 16_384
"""Unknown fields of one value that are kept; the values of a whole fleet are in memory."""


@dataclass(frozen=True, slots=True)
class UnknownFields:
    """The unknown keys, and the known keys of which a part is unknown.

    What belongs to a known key is kept until its known part changes, because it may depend on it.
    """

    keys: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """By key: the known value as it was read, and what is written while that is so."""

    def added_to(self, known: Json) -> Json:
        """Return the known fields with the unknown ones."""
        parts = {key: whole for key, (read, whole) in self.parts.items() if known.get(key) == read}
        return {**self.keys, **known, **parts}


NOTHING_UNKNOWN = UnknownFields()


def unknown_fields(stored: Json, known: Json, nothing: Json) -> UnknownFields:
    """Return what a stored value has beyond the known fields, as this version would write them.

    `nothing` has the keys whose value also stands for what is not understood.
    """
    keys = {key: value for key, value in stored.items() if key not in known}
    wholes = {key: _whole(value, stored[key]) for key, value in known.items() if key in stored}
    parts = {key: (known[key], whole) for key, whole in wholes.items() if whole is not None}
    misread = {key for key, value in nothing.items() if known[key] == value and stored.get(key) is not None}
    return UnknownFields(keys, {**parts, **{key: (known[key], stored[key]) for key in misread}})


def _whole(known: Any, stored: Any) -> Any:
    """Return a known list or object with what else is stored of it, None if that is nothing."""
    if isinstance(known, list | tuple) and isinstance(stored, list) and len(stored) > len(known):
        return [*known, *stored[len(known) :]]
    if isinstance(known, dict) and isinstance(stored, dict) and stored.keys() - known.keys():
        return {**stored, **known}
    return None
