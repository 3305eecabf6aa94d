"""Turn announcements into notifications. The title contains everything important.

Texts are limited, because services refuse long ones (WeCom bots accept 2048 bytes). What is left out is counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from statemachine.alerts.alert import Alert, Announcement, Kind
from statemachine.alerts.queue import NotificationBatch
from statemachine.core.messages import Message, Param, message
from statemachine.core.vocabulary import State
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.publish.serialize import rfc3339

DIGEST = "digest"
"""The kind of a notification with several announcements."""

TITLE_LIMIT = 240
CAUSE_LIMIT = 140
MESSAGE_LIMIT = 500
"""Characters."""
BODY_LIMIT = 1_200
"""Bytes in UTF-8."""
SHOWN_HOSTS = 3
SHOWN_LABELS = 8
LISTED_SERVERS = 1_000
"""Servers listed in the JSON of one notification."""
DIGESTED_SERVERS = 20
"""Servers listed in the JSON of each announcement in a digest."""
MANY = 3
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Notification:
    """One message. `title` is a single line, `data` is the same content for JSON."""

    id: str
    kind: str
    title: str
    body: str
    data: Mapping[str, Any]


def notification_for(batch: NotificationBatch, language: Language, at: float, page: str = "") -> Notification:
    """Return the message for a batch (`at` in epoch seconds), with a link to the page if its address is known."""
    if len(batch.announcements) == 1 and not batch.omitted:
        return _linked(_single(batch.announcements[0], language), _link(page, batch.announcements), language)
    return _linked(_digest(batch, language, at), _link(page, batch.announcements), language)


def _link(page: str, ones: Sequence[Announcement]) -> str:
    """Return the address of the server on the page, or of the page that shows the servers of their host or group."""
    servers = {alert.subject: alert for one in ones for alert in one.alerts if alert.state is not None}
    if len(servers) == 1:
        return f"{page}/status#server={quote(min(servers), safe='')}" if page else ""
    return f"{page}/status{_narrowed(list(servers.values()))}" if page else ""


def _narrowed(alerts: list[Alert]) -> str:
    """Return the query of the page that shows the servers of the alerts' one host, else of their one group, or ""."""
    hosts, groups = {alert.host for alert in alerts}, {alert.group for alert in alerts}
    if len(hosts) == 1 and all(alert.subject.startswith(f"{alert.host}:") for alert in alerts):
        return f"?q={quote(min(hosts), safe='')}:"
    group = groups.pop() if len(groups) == 1 else None
    return f"?group={quote(group, safe='')}" if group else ""


def _linked(notification: Notification, link: str, language: Language) -> Notification:
    if not link:
        return notification
    line = render(message("alert.link", link=link), language)
    body = f"{notification.body}\n{line}"
    return replace(notification, body=body, data={**notification.data, "text": body, "link": link})


def trial_notification(channel: str, notification_id: str, language: Language, at: float) -> Notification:
    """Return a test message."""
    title = _title(message("alert.test", channel=channel), language)
    data = {"id": notification_id, "kind": Kind.TEST.value, "at": rfc3339(at), "title": title}
    return Notification(notification_id, Kind.TEST.value, title, render(message("alert.test_body"), language), data)


def _single(one: Announcement, language: Language) -> Notification:
    title = _title(_headline(one, language), language)
    body = _bounded(_lines(one, language), language)
    return Notification(one.id, one.kind.value, title, body, {**_data(one, language), "title": title, "text": body})


def _headline(one: Announcement, language: Language) -> Message:
    first = min(one.alerts, key=lambda alert: alert.since)
    cause, took = _cause(first, language), duration(one.at - first.since)
    if first.state is None:
        code = "alert.firing_notice" if one.kind is Kind.FIRING else "alert.recovered_notice"
        return Message(code, {"cause": cause, "duration": took})
    where, servers = _where(one.alerts), _servers(one)
    if one.kind is Kind.FIRING:
        state = _state(first.state)
        return message("alert.firing", servers=servers, state=state, duration=took, hosts=where, cause=cause)
    recovered = message("alert.recovered", servers=servers, duration=took, hosts=where)
    if not one.still_open:
        return recovered
    return message("alert.recovered_partly", recovered=recovered, count=len(one.still_open))


def _cause(alert: Alert, language: Language) -> str:
    return _one_line(render(alert.message, language) or alert.reason, CAUSE_LIMIT)


def _state(state: State) -> Message:
    return message(f"alert.state.{state.value}")


def _servers(one: Announcement) -> Message:
    count = len(one.alerts)
    if count >= MANY and count * 2 >= one.fleet and one.kind is Kind.FIRING:
        return message("alert.most", count=count, fleet=one.fleet)
    return message("alert.one_server") if count == 1 else message("alert.servers", count=count)


def _where(alerts: Iterable[Alert]) -> Param:
    hosts = _by_host(alerts)
    if len(hosts) > SHOWN_HOSTS:
        return message("alert.on_hosts", count=len(hosts))
    return [_host(host, names) for host, names in hosts.items()]


def _by_host(alerts: Iterable[Alert]) -> dict[str, list[Alert]]:
    hosts: dict[str, list[Alert]] = {}
    for alert in alerts:
        hosts.setdefault(alert.host, []).append(alert)
    return hosts


def _host(host: str, alerts: list[Alert]) -> Param:
    if len(alerts) == 1:
        return alerts[0].subject
    labels: list[Param] = [alert.label for alert in alerts[:SHOWN_LABELS]]
    if len(alerts) > SHOWN_LABELS:
        labels.append(message("alert.more", count=len(alerts) - SHOWN_LABELS))
    return message("alert.ports", host=host, labels=labels)


def _lines(one: Announcement, language: Language) -> list[Message]:
    first = min(one.alerts, key=lambda alert: alert.since)
    groups = sorted({alert.group for alert in one.alerts if alert.group})
    lines = [message("alert.rule", rule=one.rule)]
    if groups:
        lines.append(message("alert.groups", groups=groups))
    lines.append(message("alert.since", time=clock_time(first.since)))
    if first.state is not None and one.kind is Kind.RECOVERED:
        lines.append(message("alert.was", state=_state(first.state), cause=_cause(first, language)))
    hosts = _by_host(one.alerts) if first.state is not None else {}
    return lines + [message("alert.item", text=_host(host, alerts)) for host, alerts in hosts.items()]


def _digest(batch: NotificationBatch, language: Language, at: float) -> Notification:
    ones = batch.announcements
    count = len(ones) + batch.omitted
    title = _title(message("alert.digest", count=count, parts=_parts(batch)), language)
    headlines = [_one_line(render(_headline(one, language), language), CAUSE_LIMIT) for one in ones]
    body = _bounded([message("alert.item", text=headline) for headline in headlines], language)
    data = {
        "id": ones[-1].id,
        "kind": DIGEST,
        "at": rfc3339(at),
        "count": count,
        "alerts": [_data(one, language, listed=DIGESTED_SERVERS) for one in ones],
        "title": title,
        "text": body,
    }
    return Notification(ones[-1].id, DIGEST, title, body, data)


def _parts(batch: NotificationBatch) -> list[Param]:
    firing = sum(one.kind is Kind.FIRING for one in batch.announcements)
    counts = {
        "alert.digest_new": firing,
        "alert.digest_recovered": len(batch.announcements) - firing,
        "alert.digest_uncounted": batch.omitted,
    }
    return [Message(code, {"count": count}) for code, count in counts.items() if count]


def _data(one: Announcement, language: Language, listed: int = LISTED_SERVERS) -> dict[str, Any]:
    first = one.alerts[0]
    servers = [alert for alert in one.alerts if alert.state is not None]
    return {
        "id": one.id,
        "incident": one.incident,
        "kind": one.kind.value,
        "rule": one.rule,
        "at": rfc3339(one.at),
        "since": rfc3339(min(alert.since for alert in one.alerts)),
        "state": first.state.value if first.state else None,
        "reason": first.reason,
        "message": _quoted(first, language),
        "fleet": one.fleet,
        "count": len(servers),
        "servers": [_server(alert, language) for alert in servers[:listed]],
        "still": [alert.subject for alert in one.still_open[:listed]],
    }


def _server(alert: Alert, language: Language) -> dict[str, Any]:
    return {
        "name": alert.subject,
        "url": alert.url,
        "group": alert.group,
        "since": rfc3339(alert.since),
        "message": _quoted(alert, language),
    }


def _quoted(alert: Alert, language: Language) -> str:
    """Return the alert's message, cut and encodable, because it may quote a server."""
    return render(alert.message, language)[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()


def duration(seconds: float) -> Message:
    """Return the duration in its two largest units."""
    whole = max(0, round(seconds))
    if whole < MINUTE_S:
        return message("alert.seconds", count=whole)
    if whole < HOUR_S:
        return message("alert.minutes", count=whole // MINUTE_S)
    if whole < DAY_S:
        return _two_units("alert.hours", whole // HOUR_S, "alert.minutes", whole % HOUR_S // MINUTE_S)
    return _two_units("alert.days", whole // DAY_S, "alert.hours", whole % DAY_S // HOUR_S)


def _two_units(large: str, count: int, small: str, rest: int) -> Message:
    whole = Message(large, {"count": count})
    return message("alert.two_units", large=whole, small=Message(small, {"count": rest})) if rest else whole


def clock_time(at: float) -> str:
    """Return local time with its offset."""
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def _title(text: Message, language: Language) -> str:
    return _one_line(render(message("alert.title", text=text), language), TITLE_LIMIT)


def _one_line(text: str, limit: int) -> str:
    """Return the text as one printable line. It may quote a server, and becomes the subject of a mail."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _bounded(lines: list[Message], language: Language) -> str:
    """Return as many lines as fit into the limit, and the number of the others."""
    shown: list[str] = []
    room = BODY_LIMIT
    for line in (render(one, language) for one in lines):
        room -= len(line.encode()) + 1
        if room < 0:
            break
        shown.append(line)
    if len(shown) < len(lines):
        shown.append(render(message("alert.more", count=len(lines) - len(shown)), language))
    return "\n".join(shown)
