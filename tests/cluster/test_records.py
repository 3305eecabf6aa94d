"""Leases, records and entries round-trip through JSON with any text of a server."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.cluster.records import (
    Lease,
    Record,
    SharedEntry,
    lease_from,
    read_lease,
    read_record,
    record_from,
    shared_entry_from,
)
from statemachine.cluster.store import StoredValue
from statemachine.cluster.values import encode_json
from statemachine.cluster.view_json import view_from
from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import Message, message, verbatim
from statemachine.core.pause import Pause
from statemachine.core.repetition import GIVE_UP_REASONS, NO_STREAK, Streak
from statemachine.core.restart import Restart, RestartCause, RestartStage
from statemachine.core.server import Attempt, Outcome, ServerView
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.i18n.render import sentence
from statemachine.journal.restart_rows import restart_row
from statemachine.journal.rows import attempt_row, storable

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
ANY_TEXTS = st.text(st.characters(), max_size=20)
MESSAGES = TEXTS.map(lambda text: message("check_failed", error=verbatim(text)))
TIMES = st.floats(0, 4e9)
MAYBE_TIMES = st.none() | TIMES
PAUSES = st.builds(Pause, MAYBE_TIMES, TEXTS, st.none() | TEXTS)
RESTARTS = st.builds(
    Restart,
    TEXTS,
    TEXTS,
    st.sampled_from(RestartCause),
    TIMES,
    st.none() | TEXTS,
    st.sampled_from(RestartStage),
    st.none() | TEXTS,
    st.none() | TEXTS,
    MAYBE_TIMES,
    MAYBE_TIMES,
    MAYBE_TIMES,
    st.none() | st.sampled_from(Reason),
    MESSAGES,
    st.lists(TIMES, max_size=3).map(tuple),
)
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
    waiting_for=MESSAGES,
    next_action_at_most=st.booleans(),
    pause=st.none() | PAUSES,
    restart=st.none() | RESTARTS,
)
ATTEMPTS = st.builds(
    Attempt,
    TEXTS,
    TEXTS,
    TEXTS,
    TIMES,
    st.none() | TEXTS,
    ANY_TEXTS,
    st.sampled_from(Outcome),
    MAYBE_TIMES,
    MAYBE_TIMES,
    st.none() | st.sampled_from(Source),
    st.booleans(),
    ANY_TEXTS.map(verbatim),
    st.none() | TEXTS,
)
RECORDS = st.builds(
    Record,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | ATTEMPTS.map(attempt_row),
    st.booleans(),
    st.none() | VIEWS,
    st.just(NO_STREAK) | st.builds(Streak, st.sampled_from(GIVE_UP_REASONS), st.integers(1, 99)),
    PAUSES,
    st.none() | RESTARTS.map(restart_row),
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
def test_lease_round_trips(lease: Lease) -> None:
    assert read_lease(lease.encoded()) == lease


@given(RECORDS)
def test_record_round_trips(record: Record) -> None:
    assert read_record(record.encoded()) == record


@pytest.mark.parametrize("stored", [{"failed_for": "prompt_lost"}, {}])
def test_record_of_older_version_has_failure_of_its_view(stored: dict[str, str]) -> None:
    view = ServerView("a", "u", "g", State.FAILED, 0.0, Reason.PROMPT_LOST, verbatim("lost"))
    data = orjson.loads(Record(view=view).encoded())
    del data["streak"]
    assert read_record(orjson.dumps(data | stored)).saved_state.streak == Streak(Reason.PROMPT_LOST, 3)


@pytest.mark.parametrize("odd", ["x", [], ["prompt_lost"], ["prompt_lost", "3"], ["of a later version", 3], None])
def test_record_with_odd_streak_counts_no_failures(odd: object) -> None:
    data = orjson.loads(Record(session="s").encoded())
    record = read_record(orjson.dumps(data | {"streak": odd}))
    assert (record.session, record.streak) == ("s", NO_STREAK)


@given(TEXTS, ENTRIES, st.none() | VIEWS)
def test_shared_entry_round_trips(text: str, entry: LogEntry, view: ServerView | None) -> None:
    shared = SharedEntry(text, text, entry, view)
    assert shared_entry_from(shared.encoded()) == shared


@given(ANY_TEXTS, ENTRIES, VIEWS)
def test_shared_entry_unencodable_text_is_stored_as_in_the_journal(
    text: str, entry: LogEntry, view: ServerView
) -> None:
    odd = SharedEntry(
        "1",
        "s",
        entry._replace(message=verbatim(text)),
        view._replace(message=verbatim(text), missing=(text,), group=text),
    )
    read = shared_entry_from(odd.encoded())
    assert read.view is not None
    assert (
        sentence(read.entry.message)
        == sentence(read.view.message)
        == read.view.group
        == read.view.missing[0]
        == storable(text)
    )
    assert read_record(Record(view=odd.view).encoded()).view == read.view


@given(ATTEMPTS)
def test_saved_state_has_the_attempt_while_it_is_open(attempt: Attempt) -> None:
    state = read_record(Record(attempt=attempt_row(attempt)).encoded()).saved_state
    assert (state.attempt is not None) == attempt.is_open
    assert state.attempt is None or attempt_row(state.attempt) == attempt_row(attempt)


@given(
    st.recursive(st.none() | ANY_TEXTS | st.floats() | st.integers() | st.sampled_from(State), st.lists, max_leaves=9)
)
def test_encode_json_any_data_is_json(data: object) -> None:
    orjson.loads(encode_json(data))


@pytest.mark.parametrize("garbage", [b"", b"[]", b"7", b'"x"', b"{}", b"\xff", b'{"node": 1}'])
def test_garbage_is_neither_record_nor_lease(garbage: bytes) -> None:
    stored = StoredValue("a", garbage, 1)
    assert record_from(stored) is None
    assert lease_from(stored) is None


def test_value_of_another_key_is_garbage() -> None:
    view = ServerView("a", "u", "g", State.LOADED, 1.0, Reason.ALL_CACHED, verbatim("m"))
    attempt = attempt_row(Attempt("a", "w", "p", 1.0))
    for record in (Record("s", "n", view=view), Record("s", "n", attempt)):
        assert record_from(StoredValue("a", record.encoded(), 1)) == record
        assert record_from(StoredValue("b", record.encoded(), 1)) is None
    lease = Lease("a", "s")
    assert lease_from(StoredValue("a", lease.encoded(), 1)) == lease
    assert lease_from(StoredValue("b", lease.encoded(), 1)) is None


def test_decode_later_version_keeps_what_is_known() -> None:
    lease = {**orjson.loads(Lease("n", "s").encoded()), "new": True}
    assert read_lease(orjson.dumps(lease)) == Lease("n", "s")
    view = ServerView("a", "u", "g", State.LOADED, 1.0, Reason.ALL_CACHED, verbatim("m"))
    record = orjson.loads(Record("s", "n", None, paused=True, view=view).encoded())
    record["view"][3] = "a later state"
    assert read_record(orjson.dumps({**record, "new": 1})) == Record("s", "n", None, paused=True)


def test_decode_record_of_an_older_version_keeps_the_sentences() -> None:
    view = ServerView("a", "u", "g", State.LOADED, 1.0, Reason.ALL_CACHED, Message(text="all cached"))
    attempt = Attempt("a", "w", "p", 1.0, server_prompt_id="p", message=Message(text="sent"))
    record = orjson.loads(Record("s", "n", attempt_row(attempt), view=view).encoded())
    read = read_record(orjson.dumps({name: record[name] for name in ("session", "node", "attempt", "paused", "view")}))
    assert len(record["attempt"]) == 13
    assert read.view is not None
    assert read.view.message.text == "all cached"
    assert read.saved_state.attempt is not None
    assert read.saved_state.attempt.message.text == "sent"


def test_decode_entry_of_an_older_version_keeps_the_sentence() -> None:
    entry = LogEntry(1.0, EntryKind.NOTICE, "node_back", Message(text="back"))
    shared = orjson.loads(SharedEntry("1", "s", entry, None).encoded())
    older = {name: shared[name] for name in ("id", "session", "entry", "view")}
    assert set(older["entry"]) == {*LogEntry._fields, "witness"} - {"proved_by"}
    assert shared_entry_from(orjson.dumps(older)).entry.message.text == "back"


def test_view_from_none_is_none() -> None:
    assert view_from(None, None) is None
