"""Opening the journal's file, also where it is damaged: it is then set aside, never deleted, and a new one is begun."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from statemachine.journal.store import JournalStore

SIDE_FILES = ("", "-wal", "-shm")


def open_store(path: Path, now: Callable[[], float]) -> JournalStore:
    """The store at `path`. Raises sqlite3.Error, OSError or SchemaTooNewError where it cannot be had.

    Numbers that were given in a damaged file must not be given again: the new file's begin at the present time in
    milliseconds, which is above any count of entries.
    """
    try:
        store = JournalStore(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return _begin_anew(path, now, str(error))
    if store.is_sound():
        return store
    store.close()
    return _begin_anew(path, now, "its check fails")


def _begin_anew(path: Path, now: Callable[[], float], damage: str) -> JournalStore:
    stamp = int(now() * 1000)
    for suffix in SIDE_FILES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.name}.damaged-{stamp}{suffix}"))
    logger.error("the journal {} is damaged ({}); it was set aside and a new one is begun", path, damage)
    store = JournalStore(path)
    store.number_from(stamp)
    return store
