"""Open the journal's file. A file that cannot be used is set aside, and no sequence number is given twice."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from statemachine.journal.store import JournalStore
from statemachine.journal.watched import SIDE_FILES, OpenFile


def open_store(path: Path, now: Callable[[], float], lineage: int = 0, lock: OpenFile | None = None) -> JournalStore:
    """Return the store at `path`. Raise sqlite3.Error, OSError or SchemaTooNewError if it cannot be opened.

    Raise DataFolderError if it is a link or a device, or if `lock`, that of the folder, is no longer there.
    `lineage` identifies the shared log that the file copies, 0 means that the file has its own numbers. A damaged file,
    or a copy of another log, is set aside. The new file of a single daemon starts at the present time in milliseconds,
    which is above any number of the old one; a copy starts at the beginning of its log. A single daemon that opens a
    copy continues its numbers.
    """
    if lock is not None:
        lock.check()  # a folder that was taken away is not created again
    try:
        store = JournalStore(path, lock=lock)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        store = _replace(path, now, f"is damaged ({error})", "damaged", lineage, lock)
    else:
        if not store.is_intact():
            store.close()
            store = _replace(path, now, "is damaged (its check fails)", "damaged", lineage, lock)
        elif lineage and store.lineage != lineage and store.last_seq():
            store.close()
            store = _replace(path, now, "belongs to another log than the cluster's", "other-log", lineage, lock)
    store.lineage = lineage
    return store


def _replace(
    path: Path, now: Callable[[], float], why: str, label: str, lineage: int, lock: OpenFile | None
) -> JournalStore:
    """Set the file aside and return a new one."""
    stamp = int(now() * 1000)
    for suffix in SIDE_FILES:
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.name}.{label}-{stamp}{suffix}"))
    logger.error("the journal {} {}; it was set aside and a new one is started", path, why)
    store = JournalStore(path, lock=lock)
    if not lineage:
        store.set_first_seq(stamp)
    return store
