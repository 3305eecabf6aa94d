"""What is kept in the shared store comes back as it was, whatever servers have said."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.cluster.records import (
    Lease,
    Record,
    SharedEntry,
    lease_from,
    packed,
    record_from,
    told_from,
    view_from,
)
from statemachine.core.attempt import Attempt, Outcome
from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import Message, message, verbatim
from statemachine.core.view import ServerView
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from statemachine.journal.rows import attempt_row, storable

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
ODD_TEXTS = st.text(st.characters(), max_size=20)
MESSAGES = TEXTS.map(lambda text: message("check_failed", error=verbatim(text)))
TIMES = st.floats(0, 4e9)
MAYBE_TIMES = st.none() | TIMES
VIEWS = st.builds(
    ServerView,
    TEXTS,
    TEXTS,
    TEXTS,
    st.sampled_from(State),
    TIMES,
    st.sampled_from(Reason),
    MESSAGES,
    st.booleans(),
    st.lists(TEXTS, max_size=3).map(tuple),
    st.none() | TEXTS,
    st.none() | st.floats(0, 1),
    st.none() | st.integers(0, 999),
    MAYBE_TIMES,
    MAYBE_TIMES,
    st.lists(TEXTS, max_size=3).map(tuple),
)
ATTEMPTS = st.builds(
    Attempt,
    TEXTS,
    TEXTS,
    TEXTS,
    TIMES,
    st.none() | TEXTS,
    ODD_TEXTS,
    st.sampled_from(Outcome),
    MAYBE_TIMES,
    MAYBE_TIMES,
    st.none() | st.sampled_from(Source),
    st.booleans(),
    ODD_TEXTS.map(verbatim),
    st.none() | TEXTS,
)
RECORDS = st.builds(
    Record,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | ATTEMPTS.map(attempt_row),
    st.booleans(),
    st.none() | VIEWS,
)
ENTRIES = st.builds(
    LogEntry,
    TIMES,
    st.sampled_from(EntryKind),
    TEXTS,
    MESSAGES,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | st.sampled_from(State),
    st.none() | st.sampled_from(State),
    st.none() | st.sampled_from(Source),
    st.none() | TEXTS,
)


@given(st.builds(Lease, TEXTS, TEXTS, TEXTS, st.integers(0, 2**40), st.booleans()))
def test_leases(lease: Lease) -> None:
    assert lease_from(lease.encoded()) == lease


@given(RECORDS)
def test_records(record: Record) -> None:
    assert record_from(record.encoded()) == record


@given(TEXTS, ENTRIES, st.none() | VIEWS)
def test_entries(text: str, entry: LogEntry, view: ServerView | None) -> None:
    told = SharedEntry(text, text, entry, view)
    assert told_from(told.encoded()) == told


@given(ODD_TEXTS, ENTRIES, VIEWS)
def test_odd_texts_are_written_as_the_journal_does(text: str, entry: LogEntry, view: ServerView) -> None:
    odd = SharedEntry(
        "1",
        "s",
        entry._replace(message=verbatim(text)),
        view._replace(message=verbatim(text), missing=(text,), group=text),
    )
    read = told_from(odd.encoded())
    assert read.view is not None
    assert (
        sentence(read.entry.message)
        == sentence(read.view.message)
        == read.view.group
        == read.view.missing[0]
        == storable(text)
    )
    assert record_from(Record(view=odd.view).encoded()).view == read.view


@given(ATTEMPTS)
def test_an_attempt_is_past_while_it_is_open(attempt: Attempt) -> None:
    past = record_from(Record(attempt=attempt_row(attempt)).encoded()).past
    assert (past.attempt is not None) == attempt.is_open
    assert past.attempt is None or attempt_row(past.attempt) == attempt_row(attempt)


@given(
    st.recursive(st.none() | ODD_TEXTS | st.floats() | st.integers() | st.sampled_from(State), st.lists, max_leaves=9)
)
def test_anything_can_be_packed(said: object) -> None:
    orjson.loads(packed(said))


@pytest.mark.parametrize("garbage", [b"", b"[]", b"7", b'"x"', b"{}", b"\xff", b'{"node": 1}'])
def test_what_is_not_understood_is_nobodys(garbage: bytes) -> None:
    assert record_from(garbage) == Record()
    assert lease_from(garbage).over


def test_a_later_versions_words_are_understood_as_far_as_can_be() -> None:
    lease = {**orjson.loads(Lease("n", "s").encoded()), "new": True}
    assert lease_from(orjson.dumps(lease)) == Lease("n", "s")
    view = ServerView("a", "u", "g", State.LOADED, 1.0, Reason.ALL_CACHED, verbatim("m"))
    record = orjson.loads(Record("s", "n", None, paused=True, view=view).encoded())
    record["view"][3] = "a state of tomorrow"
    assert record_from(orjson.dumps({**record, "new": 1})) == Record("s", "n", None, paused=True)


def test_records_of_an_older_version_are_read() -> None:
    """It wrote sentences only, and nothing beside them."""
    view = ServerView("a", "u", "g", State.LOADED, 1.0, Reason.ALL_CACHED, Message(text="all there"))
    attempt = Attempt("a", "w", "p", 1.0, server_prompt_id="p", message=Message(text="said"))
    record = orjson.loads(Record("s", "n", attempt_row(attempt), view=view).encoded())
    read = record_from(orjson.dumps({name: record[name] for name in ("session", "node", "attempt", "paused", "view")}))
    assert len(record["attempt"]) == 13
    assert read.view is not None
    assert read.view.message.text == "all there"
    assert read.past.attempt is not None
    assert read.past.attempt.message.text == "said"


def test_entry_of_an_older_version_is_read() -> None:
    entry = LogEntry(1.0, EntryKind.NOTICE, "node_back", Message(text="back"))
    told = orjson.loads(SharedEntry("1", "s", entry, None).encoded())
    older = {name: told[name] for name in ("id", "session", "entry", "view")}
    assert set(older["entry"]) == set(LogEntry._fields)
    assert told_from(orjson.dumps(older)).entry.message.text == "back"


def test_no_line() -> None:
    assert view_from(None, None) is None
