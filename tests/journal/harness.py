"""A journal over a store that can fail, with a record of what was published."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from statemachine.core.log_entry import LogEntry
from statemachine.core.server import ServerView
from statemachine.i18n.render import sentence
from statemachine.journal.journal import Journal
from statemachine.journal.store import JournalStore
from tests.journal.samples import FragileStore, at_once, entry


class JournalHarness:
    """The journal under test, without a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = FragileStore(path)
        self.published: list[tuple[str, int | None]] = []
        self.health: list[bool] = []
        self.listener: Callable[[LogEntry], None] = self.on_committed
        self.journal = Journal[ServerView](lambda: self.store, at_once, self._committed, self.health.append)

    def append(self, *messages: str) -> None:
        for message in messages:
            self.journal.append(entry(message), None)

    def _committed(self, one: LogEntry, _: ServerView | None) -> None:
        self.listener(one)

    def on_committed(self, one: LogEntry) -> None:
        self.published.append((sentence(one.message), one.seq))

    def on_disk(self) -> list[str]:
        reader = JournalStore(self.path, read_only=True)
        found = [sentence(one.message) for one in reader.page_after(0, 99_999).entries]
        reader.close()
        return found


async def settled() -> None:
    """Run all tasks that need no time."""
    for _ in range(20):
        await asyncio.sleep(0)
