"""The points in time that people write: RFC 3339, or how long ago."""

import re
from datetime import datetime, timedelta

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


def parse_since(text: str, now: datetime) -> float:
    """Epoch seconds. A date or time without a zone is the local one's. ValueError says what is allowed."""
    try:
        if found := _AGO.fullmatch(text.strip()):
            return (now - timedelta(**{UNITS[found[2]]: int(found[1])})).timestamp()
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: 2026-01-31T08:00:00Z, or how long ago: 30s, 10m, 2h, 1d") from None
