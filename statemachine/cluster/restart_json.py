"""A restart in the records of the shared store, also of a later version."""

from typing import Any

from statemachine.cluster.values import instant, maybe, text
from statemachine.core.restart import Restart
from statemachine.journal.restart_rows import RESTART_COLUMNS, restart_from, restart_row
from statemachine.journal.rows import Row

_NUMBERS = frozenset({"requested_at", "hook_started_at", "returned_at", "ended_at", "drains_timed_out"})


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
