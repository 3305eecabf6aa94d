"""Maintenance windows: when they are open, also where clocks change, and which settings are refused."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from statemachine.settings import SettingsError, parse_settings
from statemachine.settings.maintenance import MaintenanceWindow, silenced_by

WINDOW = {"name": "nightly", "at": "02:00", "duration": "2h", "zone": "UTC"}


CRON = {"at": None, "cron": "30 2 * * sat"}


def window(**keys: Any) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate({**WINDOW, **keys})


def epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("keys", "at", "end"),
    [
        ({}, "2026-01-01T01:59:59Z", None),
        ({}, "2026-01-01T02:00:00Z", "2026-01-01T04:00:00Z"),
        ({}, "2026-01-01T03:59:59Z", "2026-01-01T04:00:00Z"),
        ({}, "2026-01-01T04:00:00Z", None),
        ({"days": ["sat"]}, "2026-01-01T03:00:00Z", None),
        ({"days": ["thu"]}, "2026-01-01T03:00:00Z", "2026-01-01T04:00:00Z"),
        ({"at": "23:30", "days": ["wed"]}, "2026-01-01T01:00:00Z", "2026-01-01T01:30:00Z"),
        ({"zone": "+08:00"}, "2025-12-31T18:30:00Z", "2025-12-31T20:00:00Z"),
        ({"zone": "-03:30"}, "2026-01-01T05:30:00Z", "2026-01-01T07:30:00Z"),
        ({"duration": "1w", "days": ["mon"]}, "2026-01-01T00:00:00Z", "2026-01-05T02:00:00Z"),
        ({"duration": "1d12h"}, "2026-01-01T03:00:00Z", "2026-01-02T14:00:00Z"),
    ],
)
def test_window_is_open_from_its_start_to_its_end(keys: dict[str, Any], at: str, end: str | None) -> None:
    assert window(**keys).end_at(epoch(at)) == (epoch(end) if end else None)


def test_window_lasts_as_long_where_clocks_change() -> None:
    """In Berlin 02:30 does not exist on 2026-03-29, and comes twice on 2026-10-25."""
    berlin = window(at="02:30", zone="Europe/Berlin")
    zone = ZoneInfo("Europe/Berlin")
    for day, start in (("2026-03-29", "2026-03-29T01:30:00Z"), ("2026-10-25", "2026-10-25T00:30:00Z")):
        midnight = datetime.fromisoformat(day).replace(tzinfo=zone).timestamp()
        assert berlin.next_start(midnight) == epoch(start)
        assert berlin.end_at(epoch(start) + 7_199) == epoch(start) + 7_200
        assert berlin.end_at(epoch(start) + 7_200) is None


def test_window_of_a_cron_expression_opens_at_its_starts() -> None:
    """2026-01-03 is a Saturday."""
    saturdays = window(**CRON, duration="1h")
    assert saturdays.next_start(epoch("2026-01-01T00:00:00Z")) == epoch("2026-01-03T02:30:00Z")
    assert saturdays.next_start(epoch("2026-01-03T02:30:00Z")) == epoch("2026-01-10T02:30:00Z")
    ends = {"02:29:59": None, "02:30:00": "03:30:00", "03:29:59": "03:30:00", "03:30:00": None}
    for time, end in ends.items():
        assert saturdays.end_at(epoch(f"2026-01-03T{time}Z")) == (epoch(f"2026-01-03T{end}Z") if end else None)


def test_window_whose_starts_overlap_stays_open() -> None:
    quarters = window(at=None, cron="*/15 8-9 * * *", duration="20m")
    assert quarters.end_at(epoch("2026-01-03T08:16:00Z")) == epoch("2026-01-03T08:35:00Z")
    assert quarters.end_at(epoch("2026-01-03T10:04:59Z")) == epoch("2026-01-03T10:05:00Z")
    assert quarters.end_at(epoch("2026-01-03T10:05:00Z")) is None


def test_window_covers_its_groups_or_everything() -> None:
    lab, at = window(groups=["lab"]), epoch("2026-01-01T03:00:00Z")
    assert silenced_by((lab,), "lab", at) is lab
    assert silenced_by((lab,), "public", at) is silenced_by((lab,), None, at) is None
    assert silenced_by((window(),), None, at) == window()
    assert silenced_by((lab,), "lab", at + 3_600) is None


@pytest.mark.parametrize(
    ("keys", "path", "said"),
    [
        *(({"at": at}, "at", "time of day") for at in ("24:00", "2:30", "02:60", "02:00:00", "２2:30", "", "noon")),
        *(({"duration": text}, "duration", "1s to 1w") for text in ("", "2", "0s", "8d", "-2h", "2 hours")),
        *(
            ({"zone": name}, "zone", "Europe/Berlin")
            for name in ("", "CETT", "Europe", "../../etc/passwd", "/etc/localtime", "+15:00", "+8", "a\0b", "utc ")
        ),
        ({"days": ["monday"]}, "days", "mon"),
        ({"groups": ["no such group"]}, "groups", "a group of servers"),
        ({"name": ""}, "name", ""),
        ({"cron": "0 2 * * *"}, "at", "only without `cron`"),
        ({"cron": "0 2 * * *", "at": None, "days": ["sat"]}, "days", "only without `cron`"),
        ({"cron": "0 2 * * * *", "at": None}, "cron", "five fields"),
    ],
)
def test_bad_window_is_refused_with_its_place(keys: dict[str, Any], path: str, said: str) -> None:
    settings = {"servers": ["http://192.0.2.1:8188"], "maintenance": [{**WINDOW, **keys}]}
    with pytest.raises(SettingsError) as caught:
        parse_settings(settings, Path("/"), {})
    assert f"maintenance[0].{path}" in str(caught.value)
    assert said in str(caught.value)


def test_window_of_a_failed_cron_reports_only_that() -> None:
    settings = {"servers": ["http://192.0.2.1:8188"], "maintenance": [{**WINDOW, "at": None, "cron": "61 2 * * *"}]}
    with pytest.raises(SettingsError, match="first field") as caught:
        parse_settings(settings, Path("/"), {})
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("key", ["at", "duration", "zone", "name"])
def test_window_without_a_key_is_refused(key: str) -> None:
    settings = {"servers": ["http://192.0.2.1:8188"], "maintenance": [{**WINDOW, key: None}]}
    with pytest.raises(SettingsError, match=rf"maintenance\[0\]\.{key}"):
        parse_settings(settings, Path("/"), {})


def test_two_windows_of_one_name_are_refused() -> None:
    settings = {"servers": ["http://192.0.2.1:8188"], "maintenance": [WINDOW, WINDOW]}
    with pytest.raises(SettingsError, match=r"maintenance\[1\]\.name"):
        parse_settings(settings, Path("/"), {})


@pytest.mark.parametrize(
    "url",
    ["comfywarm.example.com", "ftp://a", "https://", "https://u:p@a", "https://a/?x=1", "https://a/#b", "https://a b"],
)
def test_bad_public_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"listen\.public_url"):
        parse_settings({"servers": ["http://192.0.2.1:8188"], "listen": {"public_url": url}}, Path("/"), {})
