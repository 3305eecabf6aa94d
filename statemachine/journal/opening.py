"""Open the journal's file. A file that cannot be used is set aside, and no sequence number is given twice."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from statemachine.journal.store import JournalStore

SIDE_FILES = ("", "-wal", "-shm")


def open_store(path: Path, now: Callable[[], float], lineage: int = 0) -> JournalStore:
    """Return the store at `path`. Raise sqlite3.Error, OSError or SchemaTooNewError if it cannot be opened.

    `lineage` identifies the shared log that the file copies, 0 means that the file has its own numbers. A damaged file,
    or a copy of another log, is set aside. The new file of a single daemon starts at the present time in milliseconds,
    which is above any number of the old one; a copy starts at the beginning of its log. A single daemon that opens a
    copy continues its numbers.
    """
    try:
        store = JournalStore(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        store = _replace(path, now, f"is damaged ({error})", "damaged", lineage)
    else:
        if not store.is_intact():
            store.close()
            store = _replace(path, now, "is damaged (its check fails)", "damaged", lineage)
        elif lineage and store.lineage != lineage and store.last_seq():
            store.close()
            store = _replace(path, now, "belongs to another log than the cluster's", "other-log", lineage)
    store.lineage = lineage
    return store


def _replace(path: Path, now: Callable[[], float], why: str, label: str, lineage: int) -> JournalStore:
    """Set the file aside and return a new one."""
    stamp = int(now() * 1000)
    for suffix in SIDE_FILES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.name}.{label}-{stamp}{suffix}"))
    logger.error("the journal {} {}; it was set aside and a new one is started", path, why)
    store = JournalStore(path)
    if not lineage:
        store.set_first_seq(stamp)
    return store
