"""The public JSON format of the API, the event stream and `tail`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import Any

import orjson

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import Message
from statemachine.core.server import Attempt, ServerView
from statemachine.core.vocabulary import State
from statemachine.i18n.render import worded
from statemachine.publish.snapshot import ServerDetail, Snapshot

Json = dict[str, Any]


class Topic(StrEnum):
    """The `event` field of the stream."""

    TRANSITION = "transition"
    PROGRESS = "progress"
    NOTICE = "notice"


@dataclass(slots=True, eq=False)
class StreamMessage:
    """One event of the stream.

    `render` returns its data. `seq` is the id in the journal, None for live-only messages. The other fields are for
    filters; those of an entry come from the entry, those of live figures from the server's current state. `content` is
    the message of an entry, `view` the server after it.
    """

    topic: Topic
    render: Callable[[], Json]
    seq: int | None = None
    server: str | None = None
    group: str | None = None
    state: State | None = None
    reason: str | None = None
    content: Message | None = None
    view: ServerView | None = None
    _frame: bytes | None = field(default=None, init=False, repr=False)

    @property
    def frame(self) -> bytes:
        """Return the message in the format of Server-Sent Events; the first call serializes it."""
        if self._frame is None:
            head = b"" if self.seq is None else b"id: %d\n" % self.seq
            self._frame = b"%bevent: %b\ndata: %b\n\n" % (head, self.topic.value.encode(), orjson.dumps(self.render()))
        return self._frame


def rfc3339(at: float | None) -> str | None:
    """Return epoch seconds as RFC 3339 UTC with milliseconds; None stays None."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status(snapshot: Snapshot, now: float, lines: list[orjson.Fragment]) -> bytes:
    """Return the body of /api/status; `lines` are the results of `server_line` as fragments."""
    return orjson.dumps({**_head(snapshot, now), "servers": lines})


def detailed_status(snapshot: Snapshot, now: float, servers: list[Json]) -> Json:
    """Return the body of /api/detailed_status; `servers` are the results of `detailed_server`."""
    return {**_head(snapshot, now), "servers": servers}


def _head(snapshot: Snapshot, now: float) -> Json:
    states = {state.value: count for state, count in snapshot.states.items()}
    return {"generated_at": rfc3339(now), "total": len(snapshot), "states": states}


def message_fields(message: Message | None, name: str = "message") -> Json:
    """Return the sentence in the daemon's language, and the code and parameters to render it in another."""
    if message is None:
        return {name: None, f"{name}_code": None, f"{name}_params": {}}
    fields = (message if message.text else worded(message, "en")).as_json()
    return fields if name == "message" else {key.replace("message", name, 1): value for key, value in fields.items()}


def server(view: ServerView) -> Json:
    """Return one server as in /api/status."""
    return {
        "name": view.name,
        "url": view.url,
        "group": view.group,
        "state": view.state.value,
        "since": rfc3339(view.since),
        "cache_loaded": view.cache_loaded,
        "auto_executing": view.auto_executing,
        "missing": list(view.missing),
        **level_fields(view),
        "reason": view.reason.value,
        **message_fields(view.message),
        "prompt_id": view.prompt_id,
        "progress": view.progress,
        "queue_remaining": view.queue_remaining,
        "last_check": rfc3339(view.last_check),
        **message_fields(view.waiting_for, "waiting_for"),
        "next_action_at": rfc3339(view.next_action_at),
        "next_action_at_most": view.next_action_at_most,
        "pause": _pause(view),
        "restart": _restart(view),
    }


def _pause(view: ServerView) -> Json | None:
    pause = view.pause
    return None if pause is None else {"until": rfc3339(pause.until), "note": pause.note, "by": pause.by}


def _restart(view: ServerView) -> Json | None:
    restart = view.restart
    if restart is None:
        return None
    return {
        "id": restart.id,
        "cause": restart.cause.value,
        "by": restart.by,
        "stage": restart.stage.value,
        "requested_at": rfc3339(restart.requested_at),
        "hook_started_at": rfc3339(restart.hook_started_at),
        "returned_at": rfc3339(restart.returned_at),
        "ended_at": rfc3339(restart.ended_at),
        "reason": restart.reason.value if restart.reason is not None else None,
        **message_fields(restart.message or None),
    }


def level_fields(view: ServerView) -> Json:
    """Return the lowest level of the server's keys, and each key's; null where nothing observes them."""
    levels = None if view.levels is None else {key: level.word for key, level in view.levels.items()}
    return {"level": view.level.word if view.level is not None else None, "levels": levels}


def server_line(view: ServerView) -> bytes:
    """Return one server as in /api/status, as JSON text."""
    return orjson.dumps(server(view))


def detailed_server(view: ServerView, detail: ServerDetail, attempts: list[Attempt], entries: list[LogEntry]) -> Json:
    """Return one server in detail; `attempts` and `entries` are sorted newest first."""
    return {
        **server(view),
        "link": {
            "connected": detail.link.connected,
            "since": rfc3339(detail.link.since),
            "connects": detail.link.connects,
            **message_fields(detail.link.trouble, "trouble"),
        },
        "server": dict(detail.system),
        "check": {
            "kind": detail.check.kind,
            "at": rfc3339(detail.check.at),
            "ms": detail.check.ms,
            "raw": detail.check.raw,
        },
        "attempts": [attempt(one) for one in attempts],
        "transitions": [log_entry(entry) for entry in entries],
        "counters": dict(detail.counters),
    }


def attempt(one: Attempt) -> Json:
    """Return one warm-up."""
    return {
        "prompt_id": one.prompt_id,
        "workflow": one.workflow,
        "outcome": one.outcome.value,
        "confirmed_by": one.confirmed_by.value if one.confirmed_by else None,
        "created_at": rfc3339(one.created_at),
        "accepted_at": rfc3339(one.accepted_at),
        "ended_at": rfc3339(one.ended_at),
        "varied_tag": one.varied_tag,
        **message_fields(one.message),
    }


def log_entry(entry: LogEntry) -> Json:
    """Return one entry of the event log."""
    return {
        "id": entry.seq,
        "at": rfc3339(entry.at),
        "event": entry.kind.value,
        "server": entry.server,
        "group": entry.group,
        "from": entry.source.value if entry.source else None,
        "to": entry.dest.value if entry.dest else None,
        "reason": entry.reason,
        "proved_by": entry.proved_by.value if entry.proved_by else None,
        "prompt_id": entry.prompt_id,
        "by": entry.by,
        **message_fields(entry.message),
    }


def entry_message(entry: LogEntry, view: ServerView | None = None) -> StreamMessage:
    """Return the stream's message of a log entry. A live one includes the server's view, to save clients a request."""
    topic = Topic.TRANSITION if entry.kind is EntryKind.TRANSITION else Topic.NOTICE
    render = partial(_entry_json, entry, view)
    return StreamMessage(
        topic, render, entry.seq, entry.server, entry.group, entry.dest, entry.reason, entry.message, view
    )


def _entry_json(entry: LogEntry, view: ServerView | None) -> Json:
    data = log_entry(entry)
    if view is not None:
        data["view"] = server(view)
    return data


def progress_message(view: ServerView) -> StreamMessage:
    """Return the stream's message of a change without a transition: progress, queue or next action."""
    return StreamMessage(Topic.PROGRESS, partial(server, view), None, view.name, view.group, view.state, view.reason)
