"""An attempt, failures in a row, a pause and a restart in a server's record, also of other versions."""

from collections.abc import Callable
from typing import Any, TypeVar

from statemachine.cluster.values import DECODE_ERRORS, Json, flag, instant, maybe, message_from_json, text
from statemachine.core.pause import NO_PAUSE, Pause
from statemachine.core.repetition import NO_STREAK, Streak, streak_of_failed
from statemachine.core.restart import Restart
from statemachine.core.server import Attempt, Outcome, ServerView
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.journal.restart_rows import RESTART_COLUMNS, restart_from, restart_row
from statemachine.journal.rows import ATTEMPT_COLUMNS, Row, attempt_row, streak_from

T = TypeVar("T")
U = TypeVar("U")

MOST_FAILURES = 1_000
"""A larger count of failures in a row means nothing more."""

MESSAGE_COLUMNS = 2
"""The last columns of an attempt, which are stored separately because older versions know only the others."""

_NUMBERS = frozenset({"requested_at", "hook_started_at", "returned_at", "ended_at", "drains_timed_out"})


def read_streak(data: Json, view: ServerView | None) -> Streak:
    """Return the failures in a row; older versions store the reason of the last one, or only that in the view."""
    match data:
        case {"streak": [str() | None as reason, int(failures), *_]}:
            return streak_from(reason, max(0, min(failures, MOST_FAILURES)))
        case {"failed_for": str(reason)} if reason in set(Reason):
            return streak_of_failed(Reason(reason))
        case {"failed_for": _}:
            return NO_STREAK
    return streak_of_failed(view.reason) if view is not None and view.state is State.FAILED else NO_STREAK


def read_attempt_row(data: Json) -> Row | None:
    """Return the attempt; older versions write no code and parameters of its message, later ones more columns.

    An attempt with an unknown outcome, or a wrong type in a column that nothing depends on, is still looked up before
    anything is sent.
    """
    row = data["attempt"]
    if row is None:
        return None
    columns = dict(zip(ATTEMPT_COLUMNS[:-MESSAGE_COLUMNS], row, strict=False))
    said = data.get("attempt_message") or (None,) * MESSAGE_COLUMNS
    code, params, *_ = said
    message = message_from_json(read_or(text, columns.get("message"), ""), {"code": code, "params": params})
    attempt = Attempt(
        server=text(columns["server"]),
        workflow=text(columns["workflow"]),
        prompt_id=text(columns["prompt_id"]),
        created_at=read_or(instant, columns.get("created_at"), 0.0),
        client_id=read_or(text, columns.get("client_id"), None),
        server_prompt_id=read_or(text, columns.get("server_prompt_id"), columns["prompt_id"]),
        outcome=read_or(Outcome, columns.get("outcome"), Outcome.RECORDED),
        accepted_at=read_or(instant, columns.get("accepted_at"), None),
        ended_at=read_or(instant, columns.get("ended_at"), None),
        confirmed_by=read_or(Source, columns.get("confirmed_by"), None),
        varied_tag=read_or(flag, columns.get("varied_tag"), False),
        instance=read_or(text, columns.get("instance"), None),
        message=message,
    )
    return attempt_row(attempt)


def read_or(read: Callable[[Any], T], value: Any, otherwise: U) -> T | U:
    """Return what `read` returns, or another value if it does not understand this one."""
    try:
        return read(value)
    except DECODE_ERRORS:
        return otherwise


def read_pause(data: Json) -> Pause | None:
    """Return the terms of the pause, None if an older version wrote the record."""
    return None if data.get("pause") is None else read_or(pause_from, data["pause"], NO_PAUSE)


def pause_from(data: Any) -> Pause:
    """Decode the terms of a pause, also of a version with more of them. Raises one of `DECODE_ERRORS`."""
    until, note, by, *_ = data
    return Pause(maybe(instant, until), text(note), maybe(text, by))


def restart_json(restart: Restart | None) -> list[Any] | None:
    """Return the values that `read_restart` reads."""
    return None if restart is None else list(restart_row(restart))


def restart_row_from(data: Any) -> Row | None:
    """Return the row of a `restart_json`. Raises one of `DECODE_ERRORS`."""
    restart = read_restart(data)
    return None if restart is None else restart_row(restart)


def read_restart(data: Any) -> Restart | None:
    """Decode a `restart_json`. Raises one of `DECODE_ERRORS`."""
    if data is None:
        return None
    columns = {**dict.fromkeys(RESTART_COLUMNS), **dict(zip(RESTART_COLUMNS, data, strict=False))}
    return restart_from({name: maybe(instant if name in _NUMBERS else text, value) for name, value in columns.items()})
