"""The size of a daemon, hour by hour, and what of it has grown."""

import gc
import resource
import sqlite3
import sys
from asyncio import all_tasks
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

GROWTH = 1.1
SLACK = 300
"""Entries or rows that a part may gain at random, with about 500 servers present."""

FEWEST_SAMPLES = 8
CONTAINERS = (dict, set, frozenset, list, tuple, deque)
TABLES = ("log", "attempts", "streaks", "pauses", "restarts", "told_alerts", "lives")


@dataclass(frozen=True)
class ChurnSample:
    """The size of the daemon at a time. `blocks` of memory are in use; `peak_mb` is the process's, of all times.

    `containers` has the entries of the maps, lists and sets of its parts, by class and attribute.
    """

    at_s: float
    present: int
    tasks: int
    objects: int
    blocks: int
    peak_mb: float
    rows: Mapping[str, int] = field(default_factory=dict)
    containers: Mapping[str, int] = field(default_factory=dict)


def measured(at_s: float, present: int, rows: Mapping[str, int]) -> ChurnSample:
    """Measure this process."""
    gc.collect()
    objects = gc.get_objects()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return ChurnSample(
        at_s, present, len(all_tasks()), len(objects), sys.getallocatedblocks(), peak_mb, rows, containers(objects)
    )


def rows_of(journal: Path) -> dict[str, int]:
    """Return the number of rows in each table."""
    with closing(sqlite3.connect(journal)) as db:
        return {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}


def containers(objects: Sequence[object]) -> dict[str, int]:
    """Return the number of entries in the containers of the product's objects, by class and attribute."""
    found = Counter[str]()
    for one in objects:
        kind = type(one)
        module = str(kind.__module__)
        if module.startswith("statemachine.") and not module.startswith("statemachine.simulator"):
            for name, value in _attributes(one, kind):
                if isinstance(value, CONTAINERS):
                    found[f"{kind.__qualname__}.{name}"] += len(value)
    return dict(found)


def _attributes(one: object, kind: type) -> Iterator[tuple[str, Any]]:
    yield from getattr(one, "__dict__", {}).items()
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            own = f"_{base.__name__.lstrip('_')}{name}" if name.startswith("__") else name
            yield name, getattr(one, own, None)


def growths(samples: Sequence[ChurnSample]) -> list[str]:
    """Return what has grown from the second to the last quarter.

    Tasks, objects and memory count for each server that is present, entries and rows as they are.
    """
    count = len(samples) // 4
    if len(samples) < FEWEST_SAMPLES:
        return []
    early, late = samples[count : 2 * count], samples[-count:]
    grown = [
        f"{name} for each server: {before:.0f} → {after:.0f}"
        for name in ("tasks", "objects", "blocks")
        if (after := _median(late, _share(name))) > GROWTH * (before := _median(early, _share(name)))
    ]
    for part in ("rows", "containers"):
        grown += _grown_entries(part, early, late)
    return grown


def _grown_entries(part: str, early: Sequence[ChurnSample], late: Sequence[ChurnSample]) -> Iterator[str]:
    for name in sorted({name for one in late for name in getattr(one, part)}):
        before, after = _median(early, _entries(part, name)), _median(late, _entries(part, name))
        if after > GROWTH * before + SLACK:
            yield f"{part} of {name}: {before:,.0f} → {after:,.0f}"


def _share(name: str) -> Callable[[ChurnSample], float]:
    return lambda one: getattr(one, name) / max(1, one.present)


def _entries(part: str, name: str) -> Callable[[ChurnSample], float]:
    return lambda one: getattr(one, part).get(name, 0)


def _median(samples: Sequence[ChurnSample], figure: Callable[[ChurnSample], float]) -> float:
    return median(figure(one) for one in samples)
