"""From announcements to messages for people and machines. The first line says it all.

Texts are bounded, because services refuse long ones (WeCom's robots take 2048 bytes); what is left out is counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from statemachine.alerts.alert import Alert, Announcement, Kind
from statemachine.alerts.queue import NotificationBatch
from statemachine.core.messages import Message, Param, message
from statemachine.core.vocabulary import State
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.publish.serialize import rfc3339

DIGEST = "digest"
"""The kind of a letter that tells several things."""

TITLE_LIMIT = 240
WHY_LIMIT = 140
MESSAGE_LIMIT = 500
"""Characters."""
BODY_LIMIT = 1_200
"""Bytes in UTF-8."""
SHOWN_HOSTS = 3
SHOWN_LABELS = 8
LISTED_SERVERS = 1_000
"""Servers that the JSON of one message lists."""
DIGESTED_SERVERS = 20
"""Likewise, of each alert in a digest."""
MANY = 3
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


@dataclass(frozen=True, slots=True)
class Notification:
    """One message. `title` is one line; `data` is the same for machines, ready for JSON."""

    id: str
    kind: str
    title: str
    body: str
    data: Mapping[str, Any]


def letter_of(batch: NotificationBatch, language: Language, at: float) -> Notification:
    """Return the message for a batch (`at` in epoch seconds)."""
    if len(batch.announcements) == 1 and not batch.uncounted:
        return _single(batch.announcements[0], language)
    return _digest(batch, language, at)


def trial_letter(channel: str, letter_id: str, language: Language, at: float) -> Notification:
    """Return a test message."""
    title = _title(message("alert.test", channel=channel), language)
    data = {"id": letter_id, "kind": Kind.TEST.value, "at": rfc3339(at), "title": title}
    return Notification(letter_id, Kind.TEST.value, title, render(message("alert.test_body"), language), data)


def _single(one: Announcement, language: Language) -> Notification:
    title = _title(_headline(one, language), language)
    body = _bounded(_lines(one, language), language)
    return Notification(one.id, one.kind.value, title, body, {**_data(one, language), "title": title, "text": body})


def _headline(one: Announcement, language: Language) -> Message:
    first = min(one.troubles, key=lambda trouble: trouble.since)
    cause, took = _cause(first, language), duration(one.at - first.since)
    if first.state is None:
        code = "alert.firing_notice" if one.kind is Kind.FIRING else "alert.recovered_notice"
        return Message(code, {"cause": cause, "duration": took})
    where, servers = _where(one.troubles), _servers(one)
    if one.kind is Kind.FIRING:
        state = _state(first.state)
        return message("alert.firing", servers=servers, state=state, duration=took, hosts=where, cause=cause)
    recovered = message("alert.recovered", servers=servers, duration=took, hosts=where)
    return message("alert.recovered_partly", recovered=recovered, count=len(one.still)) if one.still else recovered


def _cause(alert: Alert, language: Language) -> str:
    return _one_line(render(alert.message, language) or alert.reason, WHY_LIMIT)


def _state(state: State) -> Message:
    return message(f"alert.state.{state.value}")


def _servers(one: Announcement) -> Message:
    count = len(one.troubles)
    if count >= MANY and count * 2 >= one.fleet and one.kind is Kind.FIRING:
        return message("alert.most", count=count, fleet=one.fleet)
    return message("alert.one_server") if count == 1 else message("alert.servers", count=count)


def _where(troubles: Iterable[Alert]) -> Param:
    hosts = _by_host(troubles)
    if len(hosts) > SHOWN_HOSTS:
        return message("alert.on_hosts", count=len(hosts))
    return [_host(host, names) for host, names in hosts.items()]


def _by_host(troubles: Iterable[Alert]) -> dict[str, list[Alert]]:
    hosts: dict[str, list[Alert]] = {}
    for trouble in troubles:
        hosts.setdefault(trouble.host, []).append(trouble)
    return hosts


def _host(host: str, troubles: list[Alert]) -> Param:
    if len(troubles) == 1:
        return troubles[0].subject
    labels: list[Param] = [trouble.label for trouble in troubles[:SHOWN_LABELS]]
    if len(troubles) > SHOWN_LABELS:
        labels.append(message("alert.more", count=len(troubles) - SHOWN_LABELS))
    return message("alert.ports", host=host, labels=labels)


def _lines(one: Announcement, language: Language) -> list[Message]:
    first = min(one.troubles, key=lambda trouble: trouble.since)
    groups = sorted({trouble.group for trouble in one.troubles if trouble.group})
    lines = [message("alert.rule", rule=one.rule)]
    if groups:
        lines.append(message("alert.groups", groups=groups))
    lines.append(message("alert.since", time=clock_time(first.since)))
    if first.state is not None and one.kind is Kind.RECOVERED:
        lines.append(message("alert.was", state=_state(first.state), cause=_cause(first, language)))
    hosts = _by_host(one.troubles) if first.state is not None else {}
    return lines + [message("alert.item", text=_host(host, troubles)) for host, troubles in hosts.items()]


def _digest(batch: NotificationBatch, language: Language, at: float) -> Notification:
    ones = batch.announcements
    count = len(ones) + batch.uncounted
    title = _title(message("alert.digest", count=count, parts=_parts(batch)), language)
    headlines = [_one_line(render(_headline(one, language), language), WHY_LIMIT) for one in ones]
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
        "alert.digest_uncounted": batch.uncounted,
    }
    return [Message(code, {"count": count}) for code, count in counts.items() if count]


def _data(one: Announcement, language: Language, listed: int = LISTED_SERVERS) -> dict[str, Any]:
    first = one.troubles[0]
    servers = [trouble for trouble in one.troubles if trouble.state is not None]
    return {
        "id": one.id,
        "incident": one.incident,
        "kind": one.kind.value,
        "rule": one.rule,
        "at": rfc3339(one.at),
        "since": rfc3339(min(trouble.since for trouble in one.troubles)),
        "state": first.state.value if first.state else None,
        "reason": first.reason,
        "message": _quoted(first, language),
        "fleet": one.fleet,
        "count": len(servers),
        "servers": [_server(trouble, language) for trouble in servers[:listed]],
        "still": [trouble.subject for trouble in one.still[:listed]],
    }


def _server(trouble: Alert, language: Language) -> dict[str, Any]:
    return {
        "name": trouble.subject,
        "url": trouble.url,
        "group": trouble.group,
        "since": rfc3339(trouble.since),
        "message": _quoted(trouble, language),
    }


def _quoted(trouble: Alert, language: Language) -> str:
    """Return its message, which may quote a server with any text of any length."""
    return render(trouble.message, language)[:MESSAGE_LIMIT].encode("utf-8", "replace").decode()


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
    """Local time with its offset: whoever is woken reads their own clock."""
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def _title(text: Message, language: Language) -> str:
    return _one_line(render(message("alert.title", text=text), language), TITLE_LIMIT)


def _one_line(text: str, limit: int) -> str:
    """Servers' own words may hold anything; a title is also a mail's subject."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _bounded(lines: list[Message], language: Language) -> str:
    """As many lines as there is room for, and the number of the others."""
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
