"""Convert entries, attempts, runs and alerts to and from the rows of the journal."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import Message, jsonable, message_from
from statemachine.core.pause import Pause
from statemachine.core.repetition import GIVE_UP_REASONS, NO_STREAK, Streak
from statemachine.core.server import Attempt, Outcome
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence

INSERT_ENTRY = """
    INSERT INTO log (seq, at, kind, server, grp, source, dest, reason, witness, prompt_id, message,
        message_code, message_params)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPSERT_ATTEMPT = """
    INSERT INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (prompt_id) DO UPDATE SET
        server_prompt_id = excluded.server_prompt_id, outcome = excluded.outcome, accepted_at = excluded.accepted_at,
        ended_at = excluded.ended_at, confirmed_by = excluded.confirmed_by, message = excluded.message,
        message_code = excluded.message_code, message_params = excluded.message_params
"""

ATTEMPT_COLUMNS = (
    "prompt_id", "server", "workflow", "created_at", "client_id", "server_prompt_id", "outcome", "accepted_at",
    "ended_at", "confirmed_by", "varied_tag", "message", "instance",
    "message_code", "message_params",
)  # fmt: skip
"""Columns of the table and values of `attempt_row`, in order."""

Row = tuple[Any, ...]

TEXT_LIMIT = 4_000
"""Characters. Texts quote servers, which may send any text of any length."""

PARAMS_LIMIT = 16_000
"""Bytes."""


def storable(value: str | None) -> str | None:
    """Return the text cut to the limit, with lone surrogates, which UTF-8 cannot encode, replaced."""
    return value[:TEXT_LIMIT].encode("utf-8", "replace").decode() if value is not None else None


MessageRow = tuple[str, str | None, str | None]
"""The values of the columns `message`, `message_code` and `message_params`."""


def message_row(message: Message) -> MessageRow:
    """Return the values of a message. If its parameters are too long or not valid JSON, store only its sentence."""
    text = storable(sentence(message)) or ""
    if not message.code:
        return text, None, None
    try:
        params = orjson.dumps(jsonable(message.params))
    except TypeError:  # lone surrogates, or an integer above 64 bits
        return text, None, None
    return (text, None, None) if len(params) > PARAMS_LIMIT else (text, message.code, params.decode())


def message_of(row: sqlite3.Row | Mapping[str, Any]) -> Message:
    """Return the message of a row. A file of an older version has sentences only."""
    text = row["message"]
    try:
        code, params = row["message_code"], row["message_params"]
        return message_from(code, orjson.loads(params) if params else {}, text)
    except (LookupError, ValueError):
        return Message(text=text)


def entry_row(entry: LogEntry) -> Row:
    """Return the values of INSERT_ENTRY without the sequence number, which comes first."""
    return (
        entry.at,
        entry.kind.value,
        entry.server,
        entry.group,
        entry.source.value if entry.source else None,
        entry.dest.value if entry.dest else None,
        entry.reason,
        entry.proved_by.value if entry.proved_by else None,
        storable(entry.prompt_id),
        *message_row(entry.message),
    )


def entry_from(row: sqlite3.Row) -> LogEntry:
    """Return the entry in a row of `log`."""
    return LogEntry(
        seq=row["seq"],
        at=row["at"],
        kind=EntryKind(row["kind"]),
        server=row["server"],
        group=row["grp"],
        source=State(row["source"]) if row["source"] else None,
        dest=State(row["dest"]) if row["dest"] else None,
        reason=row["reason"],
        proved_by=Source(row["witness"]) if row["witness"] else None,
        prompt_id=row["prompt_id"],
        message=message_of(row),
    )


def attempt_row(attempt: Attempt) -> Row:
    """Return the values of UPSERT_ATTEMPT."""
    text, code, params = message_row(attempt.message)
    return (
        attempt.prompt_id,
        attempt.server,
        attempt.workflow,
        attempt.created_at,
        attempt.client_id,
        storable(attempt.server_prompt_id),
        attempt.outcome.value,
        attempt.accepted_at,
        attempt.ended_at,
        attempt.confirmed_by.value if attempt.confirmed_by else None,
        int(attempt.varied_tag),
        text,
        attempt.instance,
        code,
        params,
    )


def attempt_from(row: sqlite3.Row | Mapping[str, Any]) -> Attempt:
    """Return the attempt in a row of `attempts`, or in a mapping of its columns."""
    return Attempt(
        prompt_id=row["prompt_id"],
        server=row["server"],
        workflow=row["workflow"],
        created_at=row["created_at"],
        client_id=row["client_id"],
        server_prompt_id=row["server_prompt_id"],
        outcome=Outcome(row["outcome"]),
        accepted_at=row["accepted_at"],
        ended_at=row["ended_at"],
        confirmed_by=Source(row["confirmed_by"]) if row["confirmed_by"] else None,
        varied_tag=bool(row["varied_tag"]),
        message=message_of(row),
        instance=row["instance"],
    )


INSERT_RUN = "INSERT OR IGNORE INTO lives VALUES (?, 0)"
UPSERT_HEARTBEAT = "INSERT INTO lives VALUES (?, ?) ON CONFLICT (after_seq) DO UPDATE SET seen_at = excluded.seen_at"


@dataclass(frozen=True, slots=True)
class DaemonRun:
    """One run of the daemon. Its entries have numbers above `after_seq`, up to the `after_seq` of the next run.

    `seen_at` (epoch seconds) is its last heartbeat, 0 if there was none. Its entries may be later.
    """

    after_seq: int
    seen_at: float


UPSERT_STREAK = """
    INSERT INTO streaks VALUES (?, ?, ?)
    ON CONFLICT (server) DO UPDATE SET reason = excluded.reason, count = excluded.count
"""


def streak_row(server: str, streak: Streak) -> Row:
    """Return the values of UPSERT_STREAK."""
    return (server, streak.reason.value if streak.reason is not None else None, streak.count)


def streak_from(reason: str | None, count: int) -> Streak:
    """Return a stored streak, none for a reason of another version."""
    return Streak(Reason(reason), count) if reason in set(GIVE_UP_REASONS) else NO_STREAK


UPSERT_PAUSE = "INSERT OR REPLACE INTO pauses VALUES (?, ?, ?, ?)"


def pause_row(server: str, pause: Pause) -> Row:
    """Return the values of UPSERT_PAUSE."""
    return (server, pause.until, storable(pause.note), storable(pause.by))


NEWEST_ROLLOUT = "SELECT document FROM rollouts ORDER BY rowid DESC LIMIT 1"
UPSERT_ROLLOUT = """
    INSERT INTO rollouts VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document
"""

INSERT_SENT_ALERT = "INSERT INTO told_alerts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class SentAlertRow(NamedTuple):
    """A row of `told_alerts`. `subject` is the name of a server, or of a notice after `#`; `since` is epoch seconds."""

    rule: str
    subject: str
    incident: str
    since: float
    state: str | None
    reason: str
    group: str | None
    url: str
    message: str
    message_code: str | None = None
    message_params: str | None = None
