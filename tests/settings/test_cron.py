"""Cron expressions: which ones are refused and why, and their starts, also where clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from statemachine.settings.problems import NotAllowedError
from statemachine.settings.times import CronExpression, last_start, next_start, zone_of

READ = TypeAdapter[str](CronExpression)
BERLIN = "Europe/Berlin"
ZONES = (BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "America/Havana", "+05:30", "UTC")


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def starts(cron: str, zone: str, after: str, count: int) -> list[str]:
    at, found = epoch(after), list[str]()
    for _ in range(count):
        at = next_start(cron, zone, at)
        found.append(datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M"))
    return found


def fault(text: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        READ.validate_python(text)
    error = caught.value.errors()[0].get("ctx", {}).get("error")
    return str(error)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("", "five fields"),
        ("@daily", "five fields"),
        ("30 2 * *", "five fields"),
        ("0 30 2 * * sat", "five fields"),
        ("60 2 * * *", "first field (minute)"),
        ("*/0 2 * * *", "first field (minute)"),
        ("½ 2 * * *", "first field (minute)"),
        ("30 24 * * *", "second field (hour)"),
        ("30 6-2 * * *", "second field (hour)"),
        ("30 2 0 * *", "third field (day of the month)"),
        ("30 2 31 4,6 *", "third field (day of the month)"),
        ("30 2 * 13 *", "fourth field (month)"),
        ("30 2 * january *", "fourth field (month)"),
        ("30 2 * * 8", "fifth field (day of the week)"),
        ("30 2 * * saturday", "fifth field (day of the week)"),
        ("30 2 * * 6#6", "fifth field (day of the week)"),
        ("30 2 */40 * mon#5", "some day matches"),
    ],
)
def test_bad_expression_is_refused_with_its_field(cron: str, said: str) -> None:
    assert said in fault(cron)


def test_expression_is_stored_with_single_spaces() -> None:
    assert READ.validate_python(" 30\t2  * * SAT ") == "30 2 * * SAT"


@given(st.text(st.sampled_from("0123456789*/,-#LWmonsat \t½"), max_size=30))
def test_any_text_is_an_expression_or_refused_with_a_reason(text: str) -> None:
    try:
        cron = READ.validate_python(text)
    except ValidationError as error:
        reasons = [one["ctx"]["error"] for one in error.errors()]
    else:
        reasons = []
        assert next_start(cron, "UTC", 0.0) > 0.0
    assert all(isinstance(reason, NotAllowedError) for reason in reasons)


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("30 2 * * sat", ["01-03 02:30", "01-10 02:30"]),
        ("0 8-9 * * mon-fri", ["01-01 08:00", "01-01 09:00", "01-02 08:00"]),
        ("15,45 0 1 * *", ["01-01 00:15", "01-01 00:45", "02-01 00:15"]),
        ("0 3 L * *", ["01-31 03:00", "02-28 03:00"]),
        ("0 3 * * sun#1", ["01-04 03:00", "02-01 03:00"]),
        ("0 3 13 * fri", ["01-02 03:00", "01-09 03:00", "01-13 03:00"]),
    ],
)
def test_starts_are_as_under_cron(cron: str, expected: list[str]) -> None:
    assert starts(cron, "UTC", "2025-12-31T23:59:59Z", len(expected)) == expected


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("30 2 * * *", "2026-03-28T12:00:00Z", ["03-29 01:00", "03-30 00:30"]),
        ("30 1,3 * * *", "2026-03-28T12:00:00Z", ["03-29 00:30", "03-29 01:30"]),
        ("*/30 * * * *", "2026-03-29T00:15:00Z", ["03-29 00:30", "03-29 01:00", "03-29 01:30"]),
        ("30 2 * * *", "2026-10-24T12:00:00Z", ["10-25 00:30", "10-26 01:30"]),
        ("30 2 * * *", "2026-10-25T00:45:00Z", ["10-26 01:30"]),
        ("30 2 * * *", "2026-10-25T01:15:00Z", ["10-26 01:30"]),
        ("*/30 2 * * *", "2026-10-24T22:15:00Z", ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"]),
    ],
)
def test_starts_where_clocks_change(cron: str, after: str, expected: list[str]) -> None:
    """In Berlin 02:00 to 03:00 does not exist on 2026-03-29, and comes twice on 2026-10-25, until 01:00 UTC."""
    assert starts(cron, BERLIN, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-29T00:59:59Z", "2026-03-28T01:30:00Z"),
        ("2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
        ("2026-10-25T00:29:59Z", "2026-10-24T00:30:00Z"),
        ("2026-10-25T00:30:00Z", "2026-10-25T00:30:00Z"),
        ("2026-10-25T01:15:00Z", "2026-10-25T00:30:00Z"),
        ("2026-10-25T01:45:00Z", "2026-10-25T00:30:00Z"),
    ],
)
def test_last_start_where_clocks_change(at: str, expected: str) -> None:
    assert last_start("30 2 * * *", BERLIN, epoch(at)) == epoch(expected)


@given(
    st.sampled_from(("30 2 * * *", "*/20 * * * *", "5 */3 * * *", "0 0 * * *", "15,45 1-3 * * *", "30 2 29 2 *")),
    st.sampled_from(ZONES),
    st.integers(0, 366 * 24 * 60),
)
def test_last_and_next_start_agree(cron: str, zone: str, minutes: int) -> None:
    at = epoch("2026-01-01T00:00:00Z") + minutes * 60.0
    before, after = last_start(cron, zone, at), next_start(cron, zone, at)
    assert before <= at < after
    assert next_start(cron, zone, before) == after
    assert last_start(cron, zone, after) == after


def test_starts_of_a_year_are_once_a_day_in_every_zone() -> None:
    for zone in ZONES:
        at = epoch("2026-01-01T00:00:00Z")
        found = [at := next_start("30 2 * * *", zone, at) for _ in range(365)]
        assert all(timedelta(hours=22) <= timedelta(seconds=b - a) <= timedelta(hours=26) for a, b in pairwise(found))
        assert len({datetime.fromtimestamp(one, zone_of(zone)).date() for one in found}) == 365


def test_zone_is_a_name_utc_or_an_offset() -> None:
    assert zone_of(BERLIN) == ZoneInfo(BERLIN)
    assert zone_of("-03:30").utcoffset(None) == -timedelta(hours=3, minutes=30)
    with pytest.raises(NotAllowedError):
        zone_of("Mars/Olympus")
