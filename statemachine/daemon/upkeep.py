"""What a daemon does all the time: keep journal and counters within their limits, and verify the journal's files."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress

from statemachine.fleet.diff import LoadedConfig
from statemachine.journal.port import JournalPort, JournalUnavailableError
from statemachine.publish.counters import Counters

PRUNE_EVERY_S = 3600.0

BEAT_S = 1.0
"""How often the files of the data folder are verified, also while nothing is written."""


async def keep_pruned(journal: JournalPort, config: Callable[[], LoadedConfig], now: Callable[[], float]) -> None:
    """Keep the journal within its limits. At the start, sources may not have named all servers yet.

    `config` returns the active configuration, `now` epoch seconds.
    """
    present = None
    while True:
        limits = config().settings.journal
        oldest = now() - limits.max_age_days * 86_400.0
        with suppress(JournalUnavailableError):
            await journal.file.prune(oldest, limits.max_transitions, present)
        await asyncio.sleep(PRUNE_EVERY_S)
        present = frozenset(one.name for one in config().servers)


async def keep_verified(journal: JournalPort) -> None:
    """Notice soon that a file of the data folder was taken away or overwritten."""
    while True:
        await asyncio.sleep(BEAT_S)
        with suppress(sqlite3.Error, OSError):
            await journal.ping()


async def keep_series_of_groups(counters: Counters, config: Callable[[], LoadedConfig]) -> None:
    """Drop the series of groups that have had no server for an hour or two."""
    while True:
        await asyncio.sleep(PRUNE_EVERY_S)
        counters.forget_groups(frozenset(one.group for one in config().servers))
