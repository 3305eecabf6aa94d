"""Durations as people write them: 90s, 45m, 2h, 1h30m, 3d."""

import re

from statemachine.core.messages import message
from statemachine.i18n.render import MessageError

UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
LONGEST_S = 366 * UNITS["d"]
LONGEST_TEXT = 20

_PART = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)([smhdw])", re.ASCII)


class DurationError(MessageError):
    """Raised if a text is not a duration, or one that is too short or too long."""


def parse_duration(text: str) -> float:
    """Return the seconds of a duration. Raises DurationError."""
    compact = text.strip().lower()
    parts = _PART.findall(compact) if len(compact) <= LONGEST_TEXT else []
    units = [unit for _, unit in parts]
    if not parts or "".join(map("".join, parts)) != compact or len(set(units)) < len(units):
        raise DurationError(message("duration_form", found=text[:LONGEST_TEXT]))
    seconds = sum(float(count) * UNITS[unit] for count, unit in parts)
    if not 1.0 <= seconds <= LONGEST_S:
        raise DurationError(message("duration_range", found=text[:LONGEST_TEXT]))
    return seconds
