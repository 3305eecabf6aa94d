"""What has been told, through a real journal's file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from statemachine.alerts.alert import Alert, trouble_of
from statemachine.alerts.incidents import SentAlert
from statemachine.alerts.store import JournalAlertStore
from statemachine.core.messages import message, verbatim
from statemachine.core.vocabulary import State
from statemachine.journal.journal import WriterThread
from statemachine.journal.port import JournalUnavailableError
from statemachine.journal.store import JournalStore
from tests.alerts.samples import EPOCH, server
from tests.journal.samples import quiet_journal

SERVER = SentAlert("down", "incident 1", trouble_of(server(state=State.FAILED, message=message("no_route"))))
NOTICE = SentAlert("net", "incident 2", Alert("#fleet_vanished", "fleet_vanished", EPOCH, verbatim("gone")))


@asynccontextmanager
async def remembering(path: Path) -> AsyncIterator[JournalAlertStore]:
    thread = WriterThread()
    journal = quiet_journal(lambda: JournalStore(path), thread)
    await journal.open()
    yield JournalAlertStore(journal)
    await journal.close()
    thread.close()


async def test_what_was_saved_last_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    async with remembering(path) as memory:
        assert await memory.load() == []
        await memory.save([SERVER])
        await memory.save([SERVER, NOTICE])
    async with remembering(path) as memory:
        assert await memory.load() == [SERVER, NOTICE]
        await memory.save([NOTICE])
        assert await memory.load() == [NOTICE]


async def test_a_write_that_fails_leaves_what_was(tmp_path: Path) -> None:
    async with remembering(tmp_path / "journal.sqlite3") as memory:
        await memory.save([SERVER])
        with pytest.raises(JournalUnavailableError):
            await memory.save([NOTICE, NOTICE])
        assert await memory.load() == [SERVER]


async def test_a_journal_that_is_not_open_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").mkdir()
    async with remembering(tmp_path / "journal.sqlite3") as memory:
        with pytest.raises(JournalUnavailableError):
            await memory.load()
