"""Durations as people write them, and cron expressions in a time zone.

Durations are written 90s, 45m, 2h, 1h30m or 3d. Of a cron expression it is known whether it is valid, and the starts
before and after a time. Where clocks change, a start at a fixed time behaves as under Debian's cron: one that is
skipped comes right after the change, and one whose time comes twice counts once. An expression with `*` for minutes or
hours follows the real time.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from types import MappingProxyType
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, Field

from statemachine.core.messages import message
from statemachine.i18n.render import MessageError
from statemachine.settings.problems import NotAllowedError

UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
LONGEST_S = 366 * UNITS["d"]
LONGEST_TEXT = 20

_PART = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?)([smhdw])", re.ASCII)

_FIELDS = MappingProxyType(
    {
        "Bad minute": message("settings.cron_minute"),
        "Bad hour": message("settings.cron_hour"),
        "Bad day-of-month": message("settings.cron_day"),
        "Bad month": message("settings.cron_month"),
        "Bad day-of-week": message("settings.cron_weekday"),
    }
)
"""What is allowed, by the library's error."""

_OFFSET = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])", re.ASCII)
_MINUTE_S = 60.0
_CLOCKS_CHANGE_S = 3 * 3_600.0
"""More than clocks are set back at once."""

_REMEMBERED = 1_000


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


def zone_of(name: str) -> tzinfo:
    """Return the time zone of an IANA name, UTC or an offset. Raises NotAllowedError."""
    if name == "UTC":
        return UTC
    if offset := _OFFSET.fullmatch(name):
        minutes = int(offset[2]) * 60 + int(offset[3])
        return timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise NotAllowedError(message("settings.time_zone")) from error


def next_start(cron: str, zone: str, after: float) -> float:
    """Return the first start after a time (epoch seconds). Starts are at whole minutes."""
    return _next_start(cron, zone, after // _MINUTE_S)


def last_start(cron: str, zone: str, at: float) -> float:
    """Return the last start until a time, or at it (epoch seconds)."""
    return _last_start(cron, zone, at // _MINUTE_S)


@lru_cache(maxsize=_REMEMBERED)
def _next_start(cron: str, zone: str, minute: float) -> float:
    at = minute * _MINUTE_S
    starts = CronSim(cron, datetime.fromtimestamp(at, zone_of(zone)))
    return next(start for found in starts if (start := found.timestamp()) > at)


@lru_cache(maxsize=_REMEMBERED)
def _last_start(cron: str, zone: str, minute: float) -> float:
    """Search back from a later time: the library compares times of day, which come twice where clocks are set back."""
    at = minute * _MINUTE_S
    starts = CronSim(cron, datetime.fromtimestamp(at + _CLOCKS_CHANGE_S, zone_of(zone)), reverse=True)
    return next(start for found in starts if (start := found.timestamp()) <= at)


def _check_cron(text: str) -> str:
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise NotAllowedError(message("settings.cron_fields"))
    try:
        has_start = next(CronSim(text, datetime.fromtimestamp(0.0, UTC)), None) is not None
    except CronSimError as error:
        raise NotAllowedError(_FIELDS.get(str(error), message("settings.cron_fields"))) from error
    if not has_start:
        raise NotAllowedError(message("settings.cron_never"))
    return " ".join(fields)


def _check_zone(name: str) -> str:
    zone_of(name)
    return name


CronExpression = Annotated[str, Field(max_length=100), AfterValidator(_check_cron)]
ZoneName = Annotated[str, Field(max_length=100), AfterValidator(_check_zone)]
