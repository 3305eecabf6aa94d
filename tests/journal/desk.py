"""A journal over a store that can be made to fail, and what was told."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from statemachine.core.log_entry import LogEntry
from statemachine.core.view import ServerView
from statemachine.i18n.render import sentence
from statemachine.journal.journal import Journal
from statemachine.journal.store import JournalStore
from tests.journal.samples import FragileStore, at_once, entry


class Desk:
    """The journal under test, in virtual time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = FragileStore(path)
        self.told: list[tuple[str, int | None]] = []
        self.health: list[bool] = []
        self.listen: Callable[[LogEntry], None] = self.hear
        self.journal = Journal[ServerView](lambda: self.store, at_once, self._committed, self.health.append)

    def append(self, *messages: str) -> None:
        for message in messages:
            self.journal.append(entry(message), None)

    def _committed(self, one: LogEntry, _: ServerView | None) -> None:
        self.listen(one)

    def hear(self, one: LogEntry) -> None:
        self.told.append((sentence(one.message), one.seq))

    def on_disk(self) -> list[str]:
        reader = JournalStore(self.path, read_only=True)
        found = [sentence(one.message) for one in reader.page_after(0, 99_999).entries]
        reader.close()
        return found


async def settled() -> None:
    """Let everything run that needs no time."""
    for _ in range(20):
        await asyncio.sleep(0)
