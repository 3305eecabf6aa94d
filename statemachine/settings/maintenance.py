"""The section `maintenance`: recurring windows in which no alert is sent."""

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo

from statemachine.core.messages import message
from statemachine.settings.problems import NotAllowedError
from statemachine.settings.times import (
    UNITS,
    CronExpression,
    DurationError,
    ZoneName,
    last_start,
    next_start,
    parse_duration,
    zone_of,
)
from statemachine.settings.values import Name, Section

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

MAX_WINDOWS = 100
LONGEST_S = UNITS["w"]

_Value = TypeVar("_Value")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


def _check_time(text: str | None, info: ValidationInfo) -> str | None:
    """Check the time of day, which is required unless `cron` says when a window starts."""
    if text is None and info.data.get("cron", "") is None:
        raise NotAllowedError(message("settings.time_of_day_or_cron"))
    if text is not None and not _TIME.fullmatch(text):
        raise NotAllowedError(message("settings.time_of_day"))
    return _check_alone(text, info)


def _check_alone(value: _Value, info: ValidationInfo) -> _Value:
    """Refuse a value beside `cron`."""
    if value and info.data.get("cron") is not None:
        raise NotAllowedError(message("settings.without_cron"))
    return value


def _check_duration(text: str) -> str:
    try:
        seconds = parse_duration(text)
    except DurationError as error:
        raise NotAllowedError(message("settings.window_duration")) from error
    if seconds > LONGEST_S:
        raise NotAllowedError(message("settings.window_duration"))
    return text


class MaintenanceWindow(Section):
    """A recurring time in which no alert is sent. Servers are checked and warmed as always."""

    name: Name
    """Name on the page; unique."""
    cron: CronExpression | None = None
    """When it starts, as a cron expression in `zone`, instead of `days` and `at`: 30 2 * * sat."""
    days: Annotated[tuple[Weekday, ...], Field(max_length=7), AfterValidator(_check_alone)] = ()
    """Days of the week on which the window starts. Empty: every day."""
    at: Annotated[
        Annotated[str, Field(max_length=100)] | None, Field(validate_default=True), AfterValidator(_check_time)
    ] = None
    """Time of day at which it starts, in `zone`: 02:30. Required without `cron`."""
    duration: Annotated[str, Field(max_length=100), AfterValidator(_check_duration)]
    """How long it lasts, at most a week: 45m, 2h, 1d12h."""
    zone: ZoneName
    """Time zone of `at` or `cron`: a name such as Europe/Berlin, UTC, or an offset such as +08:00."""
    groups: Annotated[tuple[Name, ...], Field(max_length=MAX_WINDOWS)] = ()
    """Groups of servers. Empty: all servers, and the notices."""

    def end_at(self, at: float) -> float | None:
        """Return when the window ends that is open at a time (both epoch seconds), None if none is open."""
        end = self._last_start(at) + parse_duration(self.duration)
        return end if at < end else None

    def next_start(self, at: float) -> float:
        """Return the next start after a time (epoch seconds)."""
        if self.cron is not None:
            return next_start(self.cron, self.zone, at)
        return min(start for start in self._starts(at) if start > at)

    def covers(self, group: str | None) -> bool:
        """Return whether the window is about a server of the group, or, for None, about a notice."""
        return not self.groups or group in self.groups

    def _last_start(self, at: float) -> float:
        if self.cron is not None:
            return last_start(self.cron, self.zone, at)
        return max(start for start in self._starts(at) if start <= at)

    def _starts(self, at: float) -> Iterator[float]:
        """Yield the starts of the weeks around a time. A time that the clocks skip counts as one hour later."""
        zone, at_time = zone_of(self.zone), time.fromisoformat(self.at or "00:00")
        today = datetime.fromtimestamp(at, zone).date()
        for days in range(-8, 9):
            day = today + timedelta(days=days)
            if not self.days or WEEKDAYS[day.weekday()] in self.days:
                yield datetime.combine(day, at_time, zone).timestamp()


def silenced_by(windows: tuple[MaintenanceWindow, ...], group: str | None, at: float) -> MaintenanceWindow | None:
    """Return the first window that is open at a time and covers the group, or, for None, the notices."""
    return next((one for one in windows if one.covers(group) and one.end_at(at) is not None), None)
