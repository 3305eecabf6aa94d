"""The section `maintenance`: recurring windows in which no alert is sent."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from statemachine.core.messages import message
from statemachine.settings.durations import UNITS, DurationError, parse_duration
from statemachine.settings.problems import NotAllowedError
from statemachine.settings.values import Name, Section

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MAX_WINDOWS = 100
LONGEST_S = UNITS["w"]
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)
_OFFSET = re.compile(r"([+-])(0[0-9]|1[0-4]):([0-5][0-9])", re.ASCII)


def _check_time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise NotAllowedError(message("settings.time_of_day"))
    return text


def _check_duration(text: str) -> str:
    try:
        seconds = parse_duration(text)
    except DurationError as error:
        raise NotAllowedError(message("settings.window_duration")) from error
    if seconds > LONGEST_S:
        raise NotAllowedError(message("settings.window_duration"))
    return text


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


def _check_zone(name: str) -> str:
    zone_of(name)
    return name


class MaintenanceWindow(Section):
    """A recurring time in which no alert is sent. Servers are checked and warmed as always."""

    name: Name
    """Name on the page; unique."""
    days: Annotated[tuple[Weekday, ...], Field(max_length=7)] = ()
    """Days of the week on which the window starts. Empty: every day."""
    at: Annotated[str, Field(max_length=100), AfterValidator(_check_time)]
    """Time of day at which it starts, in `zone`: 02:30."""
    duration: Annotated[str, Field(max_length=100), AfterValidator(_check_duration)]
    """How long it lasts, at most a week: 45m, 2h, 1d12h."""
    zone: Annotated[str, Field(max_length=100), AfterValidator(_check_zone)]
    """Time zone of `at`: a name such as Europe/Berlin, UTC, or an offset such as +08:00."""
    groups: Annotated[tuple[Name, ...], Field(max_length=MAX_WINDOWS)] = ()
    """Groups of servers. Empty: all servers, and the notices."""

    def end_at(self, at: float) -> float | None:
        """Return when the window ends that is open at a time (both epoch seconds), None if none is open."""
        seconds = parse_duration(self.duration)
        ends = [start + seconds for start in self._starts(at) if start <= at < start + seconds]
        return max(ends, default=None)

    def next_start(self, at: float) -> float:
        """Return the next start after a time (epoch seconds)."""
        return min(start for start in self._starts(at) if start > at)

    def covers(self, group: str | None) -> bool:
        """Return whether the window is about a server of the group, or, for None, about a notice."""
        return not self.groups or group in self.groups

    def _starts(self, at: float) -> Iterator[float]:
        """Yield the starts of the weeks around a time. A time that the clocks skip counts as one hour later."""
        zone = zone_of(self.zone)
        hour, minute = int(self.at[:2]), int(self.at[3:])
        today = datetime.fromtimestamp(at, zone).date()
        for days in range(-8, 9):
            day = today + timedelta(days=days)
            if not self.days or WEEKDAYS[day.weekday()] in self.days:
                yield datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).timestamp()


def silenced_by(windows: tuple[MaintenanceWindow, ...], group: str | None, at: float) -> MaintenanceWindow | None:
    """Return the first window that is open at a time and covers the group, or, for None, the notices."""
    return next((one for one in windows if one.covers(group) and one.end_at(at) is not None), None)
