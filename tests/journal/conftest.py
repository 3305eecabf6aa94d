"""Fixtures: a store, and an open journal."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from statemachine.journal.store import JournalStore
from tests.journal.harness import JournalHarness


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[JournalHarness]:
    made = JournalHarness(tmp_path / "j.sqlite3")
    await made.journal.open()
    yield made
    if not made.store.closed:
        made.store.broken = None
        await made.journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data/journal.sqlite3"


@pytest.fixture
def store(path: Path) -> Iterator[JournalStore]:
    opened = JournalStore(path)
    yield opened
    opened.close()
