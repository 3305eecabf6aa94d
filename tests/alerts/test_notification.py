"""Notifications: titles in both languages, bodies, data and limits."""

from dataclasses import replace
from typing import get_args

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from statemachine.alerts.alert import Alert, Announcement, Kind
from statemachine.alerts.notification import (
    BODY_LIMIT,
    TITLE_LIMIT,
    Notification,
    clock_time,
    duration,
    notification_for,
    trial_notification,
)
from statemachine.alerts.queue import NotificationBatch
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import State
from statemachine.i18n.alerts import ALERTS
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.settings.alerting import AlertState
from tests.alerts.samples import EPOCH, announcement


def notification(*announcements: Announcement, language: Language = "en", omitted: int = 0) -> Notification:
    return notification_for(NotificationBatch(announcements, omitted), language, EPOCH + 125)


def test_notification_of_dead_host_names_its_ports() -> None:
    one = notification(announcement(count=4))
    assert one.title == ("comfywarm: 4 servers failed for 2 min: 192.0.2.1 (8188, 8189, 8190, 8191): no memory left")
    assert one.body == (f"rule down\ngroup lab\nsince {clock_time(EPOCH)}\n- 192.0.2.1 (8188, 8189, 8190, 8191)")
    assert notification(announcement(count=4), language="zh").title == (
        "comfywarm: 4 台服务器失败，已持续 2 分钟：192.0.2.1（8188、8189、8190、8191）：no memory left"
    )


def test_notification_of_one_server_and_recovery() -> None:
    assert notification(announcement()).title == "comfywarm: 1 server failed for 2 min: 192.0.2.1:8188: no memory left"
    recovered = announcement(kind=Kind.RECOVERED, count=2, still_open=announcement(2).alerts)
    one = notification(recovered)
    assert one.title == ("comfywarm: recovered: 2 servers loaded again after 2 min: 192.0.2.1 (8188, 8189), 1 not yet")
    assert "was failed: no memory left" in one.body
    assert notification(recovered, language="zh").title == (
        "comfywarm: 已恢复：2 台服务器重新加载完成，历时 2 分钟：192.0.2.1（8188、8189），另有 1 台尚未恢复"
    )


def test_notification_of_most_servers_counts_hosts() -> None:
    alerts = tuple(announcement(host).alerts[0] for host in range(30))
    one = notification(announcement(alerts=alerts))
    assert one.title == ("comfywarm: most of the fleet, 30 of 50 servers failed for 2 min: 30 hosts: no memory left")
    assert one.body.count("\n- 192.0.2.") == 30


def test_notification_of_notice() -> None:
    notice = Alert("#fleet_vanished", "fleet_vanished", EPOCH, verbatim("most servers stopped answering at once"))
    assert notification(announcement(alerts=(notice,))).title == (
        "comfywarm: most servers stopped answering at once (for 2 min)"
    )
    assert notification(announcement(alerts=(notice,), kind=Kind.RECOVERED)).title == (
        "comfywarm: over after 2 min: most servers stopped answering at once"
    )


def test_digest_counts_all_and_lists_what_fits() -> None:
    ones = [announcement(number) for number in range(60)] + [announcement(99, kind=Kind.RECOVERED)]
    one = notification(*ones, omitted=7)
    assert one.title == (
        "comfywarm: 68 alerts in one message because of the rate limit: "
        "60 new, 1 recovered, 7 older ones without details"
    )
    *named, rest = one.body.splitlines()
    assert rest == f"… and {61 - len(named)} more"
    assert one.data["count"] == 68
    assert len(one.data["alerts"]) == 61


def test_notification_data_lists_servers() -> None:
    data = orjson.loads(orjson.dumps(notification(announcement(count=2)).data))
    assert data["servers"][1] == {
        "name": "192.0.2.1:8189",
        "url": "http://192.0.2.1:8189",
        "group": "lab",
        "since": "2025-06-15T15:06:40.000Z",
        "message": "no memory left",
    }
    for key, value in {"kind": "firing", "rule": "down", "state": "failed", "count": 2, "fleet": 50}.items():
        assert data[key] == value


def test_trial_notification_names_channel() -> None:
    assert trial_notification("ops", "7", "en", EPOCH).title == "comfywarm: a test message of channel ops"
    assert trial_notification("ops", "7", "zh", EPOCH).title == "comfywarm: 通道 ops 的测试消息"


def test_phrases_cover_every_state_of_rules() -> None:
    assert {f"alert.state.{state}" for state in get_args(AlertState)} <= ALERTS.keys()


def test_notification_quoting_a_server_is_limited() -> None:
    text = verbatim("\ud800" + "x" * 10_000)
    one = notification(announcement(alerts=(Alert("192.0.2.1:1", "x", EPOCH, text, State.FAILED, "g", "http://h:1"),)))
    assert len(one.data["message"]) == 500
    orjson.dumps(dict(one.data))


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_duration_has_two_largest_units(seconds: float, expected: str) -> None:
    assert render(duration(seconds), "en") == expected


words = st.text(max_size=400)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), words), min_size=1, max_size=80), st.sampled_from(["en", "zh"]))
def test_notification_of_any_text_is_limited_and_printable(servers: list[tuple[int, str]], language: Language) -> None:
    alerts = tuple(
        Alert(
            f"192.0.2.{host}:{place}",
            "x",
            EPOCH,
            verbatim(text),
            State.COLD,
            text[:100],
            f"http://192.0.2.{host}:{place}",
        )
        for place, (host, text) in enumerate(servers, 1)
    )
    one = notification(announcement(alerts=alerts), language=language)
    assert len(one.title) <= TITLE_LIMIT
    assert one.title.isprintable()
    assert len(one.body.encode("utf-8", "replace")) <= BODY_LIMIT + 100
    assert len((one.title + one.body).encode("utf-8", "replace")) <= 2048


@pytest.mark.parametrize(
    ("count", "link"),
    [
        (1, "https://warm.example.com/fleet/status#server=192.0.2.1%3A8188"),
        (2, "https://warm.example.com/fleet/status?q=192.0.2.1:"),
    ],
)
def test_notification_links_to_the_page(count: int, link: str) -> None:
    batch = NotificationBatch((announcement(count=count),), 0)
    linked = notification_for(batch, "en", EPOCH + 125, "https://warm.example.com/fleet")
    assert linked.body.splitlines()[-1] == f"page: {link}"
    assert (linked.data["link"], linked.data["text"]) == (link, linked.body)
    assert "link" not in notification_for(batch, "en", EPOCH + 125).data


@pytest.mark.parametrize(
    ("servers", "query"),
    [
        ([("192.0.2.1:8188", "lab"), ("192.0.2.1:8288", "public")], "?q=192.0.2.1:"),
        ([("192.0.2.1:8188", "lab"), ("192.0.2.2:8188", "lab")], "?group=lab"),
        ([("one", "实验 室&1"), ("two", "实验 室&1")], "?group=%E5%AE%9E%E9%AA%8C%20%E5%AE%A4%261"),
        ([("192.0.2.1:8188", "lab"), ("192.0.2.2:8188", "public")], ""),
    ],
)
def test_link_of_several_servers_shows_their_host_or_group(servers: list[tuple[str, str]], query: str) -> None:
    one = announcement()
    alerts = tuple(replace(one.alerts[0], subject=name, group=group, url=f"http://{name}") for name, group in servers)
    batch = NotificationBatch((replace(one, alerts=alerts),), 0)
    linked = notification_for(batch, "en", EPOCH + 125, "https://warm.example.com")
    assert linked.data["link"] == f"https://warm.example.com/status{query}"
