"""Convert restarts to and from the rows of the journal, which the servers' records in a cluster use too."""

import sqlite3
from collections.abc import Mapping
from typing import Any

import orjson

from statemachine.core.restart import MOST_HOOKS, Restart, RestartCause, RestartStage
from statemachine.core.vocabulary import Reason
from statemachine.journal.rows import Row, message_of, message_row, storable

RESTART_COLUMNS = (
    "server", "id", "cause", "requested_at", "requested_by", "stage", "instance", "mark", "hook_started_at",
    "returned_at", "ended_at", "reason", "message", "message_code", "message_params", "hooks", "drains_timed_out",
)  # fmt: skip
"""Columns of the table and values of `restart_row`, in order."""

UPSERT_RESTART = "INSERT OR REPLACE INTO restarts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
RESTARTS = "SELECT * FROM restarts"


def restart_row(restart: Restart) -> Row:
    """Return the values of UPSERT_RESTART."""
    return (
        restart.server,
        restart.id,
        restart.cause.value,
        restart.requested_at,
        storable(restart.by),
        restart.stage.value,
        storable(restart.instance),
        storable(restart.mark),
        restart.hook_started_at,
        restart.returned_at,
        restart.ended_at,
        restart.reason.value if restart.reason is not None else None,
        *message_row(restart.message),
        orjson.dumps(restart.hooks).decode(),
        restart.drains_timed_out,
    )


def restart_from(row: sqlite3.Row | Mapping[str, Any]) -> Restart:
    """Return the restart in a row of `restarts`, or in a mapping of its columns. Raises ValueError."""
    reason = row["reason"]
    return Restart(
        id=row["id"],
        server=row["server"],
        cause=RestartCause(row["cause"]),
        requested_at=row["requested_at"],
        by=row["requested_by"],
        stage=RestartStage(row["stage"]),
        instance=row["instance"],
        mark=row["mark"],
        hook_started_at=row["hook_started_at"],
        returned_at=row["returned_at"],
        ended_at=row["ended_at"],
        reason=Reason(reason) if reason in set(Reason) else None,
        message=message_of(row),
        hooks=_times(row["hooks"]),
        drains_timed_out=int(row["drains_timed_out"] or 0),
    )


def _times(text: str) -> tuple[float, ...]:
    times = orjson.loads(text)
    return tuple(float(time) for time in times[-MOST_HOOKS:])
