"""Sent alerts in a real journal's file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from statemachine.alerts.alert import Alert, alert_of
from statemachine.alerts.incidents import SentAlert
from statemachine.alerts.store import JournalAlertStore
from statemachine.core.messages import message, verbatim
from statemachine.core.vocabulary import State
from statemachine.journal.journal import WriterThread
from statemachine.journal.port import JournalUnavailableError
from statemachine.journal.store import JournalStore
from tests.alerts.samples import EPOCH, server
from tests.journal.samples import quiet_journal

SERVER = SentAlert("down", "incident 1", alert_of(server(state=State.FAILED, message=message("no_route"))))
NOTICE = SentAlert("net", "incident 2", Alert("#fleet_vanished", "fleet_vanished", EPOCH, verbatim("gone")))


@asynccontextmanager
async def open_alert_store(path: Path) -> AsyncIterator[JournalAlertStore]:
    thread = WriterThread()
    journal = quiet_journal(lambda: JournalStore(path), thread)
    await journal.open()
    yield JournalAlertStore(journal)
    await journal.close()
    thread.close()


async def test_store_load_after_restart_returns_last_save(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    async with open_alert_store(path) as store:
        assert await store.load() == []
        await store.save([SERVER])
        await store.save([SERVER, NOTICE])
    async with open_alert_store(path) as store:
        assert await store.load() == [SERVER, NOTICE]
        await store.save([NOTICE])
        assert await store.load() == [NOTICE]


async def test_store_failed_save_keeps_previous(tmp_path: Path) -> None:
    async with open_alert_store(tmp_path / "journal.sqlite3") as store:
        await store.save([SERVER])
        with pytest.raises(JournalUnavailableError):
            await store.save([NOTICE, NOTICE])
        assert await store.load() == [SERVER]


async def test_store_of_closed_journal_raises(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").mkdir()
    async with open_alert_store(tmp_path / "journal.sqlite3") as store:
        with pytest.raises(JournalUnavailableError):
            await store.load()
