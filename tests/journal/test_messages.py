"""Messages in the journal: a code with parameters beside the sentence, and sentences only in older files."""

import sqlite3
from pathlib import Path

import pytest

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import Message, joined, message, verbatim
from statemachine.i18n.render import render, worded
from statemachine.journal.rows import PARAMS_LIMIT, TEXT_LIMIT, message_of, message_row
from statemachine.journal.schema import MIGRATIONS
from statemachine.journal.store import JournalStore
from tests.journal.samples import attempt, written

BEFORE_CODES = 4
"""The schema of the files that have sentences only."""

LONG = message("node_omits_keys", keys=(2**62,) * (PARAMS_LIMIT // 20))
"""Numbers do not count for the bound of a message."""


def notice(what: Message) -> LogEntry:
    return LogEntry(1.0, EntryKind.NOTICE, "settings_refused", what)


def older_file(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.executescript("".join(MIGRATIONS[:BEFORE_CODES]) + f"PRAGMA user_version = {BEFORE_CODES};")
        db.execute("INSERT INTO log (at, kind, reason, message) VALUES (1.0, 'notice', 'node_back', 'a sentence')")
        db.execute(
            "INSERT INTO attempts VALUES ('p', 'a', 'w', 1.0, NULL, 'p', 'accepted', NULL, NULL, NULL, 0, 'text', NULL)"
        )
        db.execute(
            "INSERT INTO told_alerts VALUES ('r', 'a', 'i', 1.0, 'failed', 'prompt_failed', 'g', 'u', 'a sentence')"
        )
    db.close()


@pytest.mark.parametrize("read_only", [True, False])
def test_journal_of_sentences_only_is_read(tmp_path: Path, read_only: bool) -> None:
    path = tmp_path / "j.sqlite3"
    older_file(path)
    store = JournalStore(path, read_only=read_only)
    (entry,) = store.page_after(0, 9).entries
    assert (entry.message.code, render(entry.message, "zh")) == ("", "a sentence")
    (one,) = store.open_attempts()
    assert one.message.text == "text"
    (alert,) = store.sent_alerts()
    assert (alert.message, alert.message_code) == ("a sentence", None)
    store.close()


def test_migrated_journal_stores_codes_beside_old_sentences(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite3"
    older_file(path)
    store = JournalStore(path)
    written(store, notice(worded(message("no_route"), "zh")))
    assert [one.message.code for one in store.page_after(0, 9).entries] == ["", "no_route"]
    assert [one.message.text for one in store.page_after(0, 9).entries] == ["a sentence", "没有该接口（HTTP 404）"]
    store.close()


def test_entry_and_attempt_keep_code_and_parameters(tmp_path: Path) -> None:
    store = JournalStore(tmp_path / "j.sqlite3")
    what = message("workflow_unfit", workflow="w", problems=joined([message("no_nodes"), verbatim("as it was sent")]))
    one = attempt()
    one.message = what
    written(store, notice(what), one)
    (entry,) = store.page_after(0, 9).entries
    (kept,) = store.newest_attempts("a", 9)
    assert entry.message == kept.message == what
    assert render(entry.message, "zh") == "工作流 w：工作流没有节点；as it was sent"
    store.close()


@pytest.mark.parametrize("what", [LONG, verbatim("half a \ud83d")])
def test_message_that_cannot_be_stored_becomes_its_sentence(what: Message) -> None:
    text, code, params = message_row(what)
    assert (code, params) == (None, None)
    assert 0 < len(text) <= TEXT_LIMIT
    text.encode()
    assert message_of({"message": text, "message_code": code, "message_params": params}) == Message(text=text)


@pytest.mark.parametrize("params", ["{", "[]", "null", '{"a": null}'])
def test_unreadable_parameters_leave_the_sentence(params: str) -> None:
    row = {"message": "a sentence", "message_code": "no_route", "message_params": params}
    assert message_of(row) == Message(text="a sentence")
