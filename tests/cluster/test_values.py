"""What other nodes, versions or people have written never raises anything else than a decoding error."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.cluster.records import (
    Lease,
    Record,
    SharedEntry,
    lease_from,
    read_record,
    record_from,
    shared_entry_from,
)
from statemachine.cluster.store import StoredValue
from statemachine.cluster.values import DECODE_ERRORS, MAX_BYTES, parse
from statemachine.core.messages import verbatim
from statemachine.core.server import ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import sentence
from statemachine.journal.rows import attempt_row
from tests.journal.samples import attempt, entry

VIEW = ServerView("a", "u", "g", State.LOADED, 1.0, Reason.ALL_CACHED, verbatim("m"))
VALUES = [
    Lease("n", "s").encoded(),
    Record("s", "n", attempt_row(attempt()), view=VIEW).encoded(),
    SharedEntry("1", "s", entry(), VIEW).encoded(),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def use(value: bytes) -> None:
    """Read the value in every way, and use what was read as the daemon does."""
    lease_from(StoredValue("n", value, 1))
    record = record_from(StoredValue("a", value, 1)) or Record()
    assert record.saved_state.attempt is None or record.saved_state.attempt.is_open
    record.encoded()
    with suppress(*DECODE_ERRORS):
        shared = shared_entry_from(value)
        hash((shared.id, shared.session, shared.entry.server))
        sentence(shared.entry.message)


@given(st.sampled_from(VALUES), st.data())
def test_readers_accept_any_type_in_any_place(value: bytes, data: st.DataObject) -> None:
    content = orjson.loads(value)
    place: Any = content
    for _ in range(data.draw(st.integers(0, 1))):
        inner = [one for one in place.values() if isinstance(one, dict) and one]
        place = data.draw(st.sampled_from(inner)) if inner else place
    key = data.draw(st.sampled_from(sorted(place)))
    if isinstance(place[key], list) and place[key]:
        place[key][data.draw(st.integers(0, len(place[key]) - 1))] = data.draw(JSON)
    else:
        place[key] = data.draw(JSON)
    use(orjson.dumps(content))


@given(st.binary(max_size=50) | JSON.map(orjson.dumps))
def test_readers_accept_any_bytes(value: bytes) -> None:
    use(value)


ODD: dict[str, Callable[[Any], Any]] = {
    "id-list": lambda data: {**data, "id": ["1"]},
    "time-text": lambda data: {**data, "entry": {**data["entry"], "at": "1"}},
    "time-huge": lambda data: {**data, "entry": {**data["entry"], "at": 1e300}},
    "server-object": lambda data: {**data, "entry": {**data["entry"], "server": {}}},
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_entry_with_a_wrong_type_is_refused(change: Callable[[Any], Any]) -> None:
    with pytest.raises(DECODE_ERRORS):
        shared_entry_from(orjson.dumps(change(orjson.loads(VALUES[2]))))


def test_attempt_with_an_unknown_outcome_is_looked_up() -> None:
    data = orjson.loads(VALUES[1])
    data["attempt"][6] = "a later outcome"
    saved = read_record(orjson.dumps(data)).saved_state
    assert saved.attempt is not None
    assert saved.attempt.prompt_id == "p"


def test_parse_of_a_long_value_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        parse(b'"' + b"x" * MAX_BYTES + b'"')
