"""Levels that have settled: ComfyUI moves models out of memory and back while prompts run, which is not a change."""

from __future__ import annotations

from collections.abc import Mapping

from .levels import Place

HOLD_S = 5.0
"""How long a level must stay lower before it counts. A higher one counts at once."""


class SettledLevels:
    """The settled place of each key."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self._lower_since: dict[str, float] = {}

    def update(self, found: Mapping[str, Place], now: float) -> bool:
        """Take what was found at the monotonic time `now`. Return whether a place has changed."""
        before = self.places
        self._lower_since = {key: self._lower_since.get(key, now) for key in found if self._is_lower(key, found[key])}
        held = {key for key, since in self._lower_since.items() if now - since < HOLD_S}
        self.places = {key: before[key] if key in held else place for key, place in found.items()}
        return any(before.get(key) != place for key, place in self.places.items())

    def _is_lower(self, key: str, place: Place) -> bool:
        return key in self.places and place.level < self.places[key].level
