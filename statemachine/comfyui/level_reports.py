"""The levels in the companion node's answers and frames (docs/node.md). A value that is not understood is no level."""

from itertools import islice
from typing import Any

from statemachine.core.levels import LEVELS, KeyPlace, Level, Places

MAX_LEVELS = 1_000
"""Keys whose levels are read. The companion node sends at most 200."""


def parse_places(value: object) -> Places | None:
    """Return the places in a member `levels`, None if it is absent or not an object."""
    if not isinstance(value, dict):
        return None
    found = {key: _place(report) for key, report in islice(value.items(), MAX_LEVELS)}
    return {key: place for key, place in found.items() if place is not None}


def _place(report: Any) -> KeyPlace | None:
    if not isinstance(report, dict):
        return None
    level, highest = _level(report.get("level")), _level(report.get("highest", "vram"))
    return KeyPlace(level, highest) if level is not None and highest is not None else None


def _level(word: object) -> Level | None:
    return LEVELS.get(word) if isinstance(word, str) else None
