"""A journal for tests that need nothing special."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.journal.desk import Desk


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path / "j.sqlite3")
    await made.journal.open()
    yield made
    if not made.store.closed:
        made.store.broken = None
        await made.journal.close()
