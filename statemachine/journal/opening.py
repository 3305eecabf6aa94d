"""Opening the journal's file, also where it is damaged: it is then set aside, never deleted, and a new one is begun."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from statemachine.journal.store import JournalStore

SIDE_FILES = ("", "-wal", "-shm")


def open_store(path: Path, now: Callable[[], float], lineage: int = 0) -> JournalStore:
    """The store at `path`, whose numbers are of that lineage (0: its own). Raises sqlite3.Error, OSError or
    SchemaTooNewError where it cannot be had.

    Numbers that were given in a damaged file must not be given again: a new file's own begin at the present time in
    milliseconds, which is above any count of entries. A copy of another log begins at that log's beginning. Who goes on
    alone with a copy numbers on from its end.
    """
    try:
        store = JournalStore(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        store = _begin_anew(path, now, f"is damaged ({error})", "damaged", lineage)
    else:
        if not store.is_sound():
            store.close()
            store = _begin_anew(path, now, "is damaged (its check fails)", "damaged", lineage)
        elif lineage and store.lineage != lineage and store.last_seq():
            store.close()
            store = _begin_anew(path, now, "is of another log than the cluster's", "other-log", lineage)
    store.lineage = lineage
    return store


def _begin_anew(path: Path, now: Callable[[], float], why: str, label: str, lineage: int) -> JournalStore:
    stamp = int(now() * 1000)
    for suffix in SIDE_FILES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.name}.{label}-{stamp}{suffix}"))
    logger.error("the journal {} {}; it was set aside and a new one is begun", path, why)
    store = JournalStore(path)
    if not lineage:
        store.number_from(stamp)
    return store
