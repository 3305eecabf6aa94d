"""From announcements to messages for people and machines. The first line says it all.

Texts are bounded, because services refuse long ones (WeCom's robots take 2048 bytes); what is left out is counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from statemachine.alerts.alert import Alert, Announcement, Kind
from statemachine.alerts.queue import NotificationBatch
from statemachine.core.messages import Language
from statemachine.i18n.alerts import PHRASES, Phrases
from statemachine.publish.serialize import rfc3339

DIGEST = "digest"
"""The kind of a letter that tells several things."""

TITLE_LIMIT = 240
WHY_LIMIT = 140
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
    """The message that tells a batch (`at` in epoch seconds)."""
    phrases = PHRASES[language]
    if len(batch.announcements) == 1 and not batch.uncounted:
        return _single(batch.announcements[0], phrases)
    return _digest(batch, phrases, at)


def trial_letter(channel: str, letter_id: str, language: Language, at: float) -> Notification:
    """A message that says that nothing is wrong."""
    phrases = PHRASES[language]
    title = _title(phrases.test.format(channel=channel))
    data = {"id": letter_id, "kind": Kind.TEST.value, "at": rfc3339(at), "title": title}
    return Notification(letter_id, Kind.TEST.value, title, phrases.test_body, data)


def _single(one: Announcement, phrases: Phrases) -> Notification:
    title = _title(_headline(one, phrases))
    body = _bounded(_lines(one, phrases), phrases)
    return Notification(one.id, one.kind.value, title, body, {**_data(one), "title": title, "text": body})


def _headline(one: Announcement, phrases: Phrases) -> str:
    first = min(one.troubles, key=lambda trouble: trouble.since)
    why = _one_line(first.message or first.reason, WHY_LIMIT)
    took = duration(one.at - first.since, phrases)
    if first.state is None:
        phrase = phrases.firing_notice if one.kind is Kind.FIRING else phrases.recovered_notice
        return phrase.format(why=why, duration=took)
    where, who = _where(one.troubles, phrases), _who(one, phrases)
    if one.kind is Kind.FIRING:
        return phrases.firing.format(who=who, state=phrases.states[first.state], duration=took, where=where, why=why)
    text = phrases.recovered.format(who=who, duration=took, where=where)
    return text + phrases.comma + phrases.still.format(count=len(one.still)) if one.still else text


def _who(one: Announcement, phrases: Phrases) -> str:
    count = len(one.troubles)
    if count >= MANY and count * 2 >= one.fleet and one.kind is Kind.FIRING:
        return phrases.most.format(count=count, fleet=one.fleet)
    return phrases.one_server if count == 1 else phrases.servers.format(count=count)


def _where(troubles: Iterable[Alert], phrases: Phrases) -> str:
    hosts = _by_host(troubles)
    if len(hosts) > SHOWN_HOSTS:
        return phrases.on_hosts.format(count=len(hosts))
    return phrases.comma.join(_host(host, names, phrases) for host, names in hosts.items())


def _by_host(troubles: Iterable[Alert]) -> dict[str, list[Alert]]:
    hosts: dict[str, list[Alert]] = {}
    for trouble in troubles:
        hosts.setdefault(trouble.host, []).append(trouble)
    return hosts


def _host(host: str, troubles: list[Alert], phrases: Phrases) -> str:
    if len(troubles) == 1:
        return troubles[0].subject
    labels = [trouble.label for trouble in troubles[:SHOWN_LABELS]]
    if len(troubles) > SHOWN_LABELS:
        labels.append(phrases.more.format(count=len(troubles) - SHOWN_LABELS))
    return phrases.ports.format(host=host, labels=phrases.comma.join(labels))


def _lines(one: Announcement, phrases: Phrases) -> list[str]:
    first = min(one.troubles, key=lambda trouble: trouble.since)
    groups = sorted({trouble.group for trouble in one.troubles if trouble.group})
    lines = [phrases.rule.format(rule=one.rule)]
    if groups:
        lines.append(phrases.groups.format(groups=phrases.comma.join(groups)))
    lines.append(phrases.since.format(time=clock_time(first.since)))
    if first.state is not None and one.kind is Kind.RECOVERED:
        why = _one_line(first.message or first.reason, WHY_LIMIT)
        lines.append(phrases.was.format(state=phrases.states[first.state], why=why))
    hosts = _by_host(one.troubles) if first.state is not None else {}
    return lines + [f"- {_host(host, troubles, phrases)}" for host, troubles in hosts.items()]


def _digest(batch: NotificationBatch, phrases: Phrases, at: float) -> Notification:
    ones = batch.announcements
    title = _title(phrases.digest.format(count=len(ones) + batch.uncounted, parts=_parts(batch, phrases)))
    body = _bounded([f"- {_one_line(_headline(one, phrases), WHY_LIMIT)}" for one in ones], phrases)
    data = {
        "id": ones[-1].id,
        "kind": DIGEST,
        "at": rfc3339(at),
        "count": len(ones) + batch.uncounted,
        "alerts": [_data(one, listed=DIGESTED_SERVERS) for one in ones],
        "title": title,
        "text": body,
    }
    return Notification(ones[-1].id, DIGEST, title, body, data)


def _parts(batch: NotificationBatch, phrases: Phrases) -> str:
    firing = sum(one.kind is Kind.FIRING for one in batch.announcements)
    counts = {
        phrases.digest_new: firing,
        phrases.digest_recovered: len(batch.announcements) - firing,
        phrases.digest_uncounted: batch.uncounted,
    }
    return phrases.comma.join(phrase.format(count=count) for phrase, count in counts.items() if count)


def _data(one: Announcement, listed: int = LISTED_SERVERS) -> dict[str, Any]:
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
        "message": first.message,
        "fleet": one.fleet,
        "count": len(servers),
        "servers": [_server(trouble) for trouble in servers[:listed]],
        "still": [trouble.subject for trouble in one.still[:listed]],
    }


def _server(trouble: Alert) -> dict[str, Any]:
    return {
        "name": trouble.subject,
        "url": trouble.url,
        "group": trouble.group,
        "since": rfc3339(trouble.since),
        "message": trouble.message,
    }


def duration(seconds: float, phrases: Phrases) -> str:
    """So long, in the two largest units that matter."""
    whole = max(0, round(seconds))
    second, minute, hour, day = phrases.units
    if whole < MINUTE_S:
        return second.format(whole)
    if whole < HOUR_S:
        return minute.format(whole // MINUTE_S)
    large, small = (hour, minute) if whole < DAY_S else (day, hour)
    size, part = (HOUR_S, MINUTE_S) if whole < DAY_S else (DAY_S, HOUR_S)
    rest = whole % size // part
    return large.format(whole // size) + (f" {small.format(rest)}" if rest else "")


def clock_time(at: float) -> str:
    """Local time with its offset: whoever is woken reads their own clock."""
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="seconds")


def _title(text: str) -> str:
    return _one_line(f"comfywarm: {text}", TITLE_LIMIT)


def _one_line(text: str, limit: int) -> str:
    """Servers' own words may hold anything; a title is also a mail's subject."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _bounded(lines: list[str], phrases: Phrases) -> str:
    """As many lines as there is room for, and the number of the others."""
    shown: list[str] = []
    room = BODY_LIMIT
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            break
        shown.append(line)
    if len(shown) < len(lines):
        shown.append(phrases.more.format(count=len(lines) - len(shown)))
    return "\n".join(shown)
