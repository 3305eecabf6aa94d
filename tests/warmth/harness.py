"""The warmth service over a real journal whose reads and writes can fail."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from typing_extensions import override

from statemachine.core.log_entry import EVERYTHING, LogFilter
from statemachine.core.messages import verbatim
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.journal.pages import Page
from statemachine.journal.store import Write
from statemachine.publish.snapshot import Snapshot
from statemachine.warmth import Warmth
from tests.journal.samples import FragileStore, quiet_journal
from tests.warmth.log_builder import BEGIN, LogBuilder


class UnreadableStore(FragileStore):
    """Fails to read pages while `unreadable`; counts the reads."""

    unreadable = False
    reads = 0

    @override
    def page_after(self, after: int, limit: int, wanted: LogFilter = EVERYTHING) -> Page:
        self.reads += 1
        if self.unreadable:
            raise sqlite3.OperationalError("disk I/O error")
        return super().page_after(after, limit, wanted)


class WarmthHarness:
    """The warmth service of one run of a daemon over the journal at `path`."""

    def __init__(self, path: Path, names: Sequence[str] = ("a",), began: float = BEGIN) -> None:
        self.store = UnreadableStore(path)
        self.journal = quiet_journal(lambda: self.store)
        self.snapshot = Snapshot()
        for name in names:
            self.snapshot.put(view(name))
        self._began = began
        self._started = asyncio.get_running_loop().time()
        self.warmth = Warmth(self.journal, self.snapshot, self.now, max_age_s=0)

    def now(self) -> float:
        """Return the wall clock, which runs with the loop's."""
        return self._began + asyncio.get_running_loop().time() - self._started

    def set_clock(self, seconds: float) -> None:
        """Advance the wall clock."""
        self._began += seconds

    async def write(self, log: LogBuilder) -> None:
        """Append the entries to the journal, which gives them new ids."""
        writes = [Write(entry._replace(seq=None), None) for entry in log.entries]
        await self.journal.with_store(lambda store: store.write(writes))

    async def share(self, window: str = "24h") -> float | None:
        """Return the warm share of the fleet."""
        return (await self.warmth.survey()).fleet.windows[window].warm_share


def view(name: str, group: str = "g") -> ServerView:
    return ServerView(name, f"http://{name}", group, State.LOADED, BEGIN, Reason.ALL_CACHED, verbatim("a sentence"))


@asynccontextmanager
async def running_warmth(path: Path, *names: str, began: float = BEGIN) -> AsyncIterator[WarmthHarness]:
    made = WarmthHarness(path, names or ("a",), began)
    await made.journal.open()
    try:
        yield made
    finally:
        made.store.broken = None
        await made.journal.close()
