"""Shared values that nodes of different versions write in turn: unknown fields stay, and a pause keeps its terms."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from statemachine.cluster.records import Lease, Record, SharedEntry, read_lease, read_record, shared_entry_from
from statemachine.cluster.store import Dataset
from statemachine.cluster.unknown_fields import MOST_BYTES
from statemachine.core import events as e
from statemachine.core.log_entry import entry_of
from statemachine.core.machine import Machine
from statemachine.core.messages import message
from statemachine.core.pause import NO_PAUSE, Pause, PauseTerms, described_pause
from statemachine.core.repetition import Streak
from statemachine.core.restart import Restart, RestartCause, RestartStage
from statemachine.core.server import Outcome, Server, ServerView
from statemachine.core.vocabulary import Reason, State
from statemachine.i18n.render import worded
from statemachine.journal.port import SavedState
from statemachine.journal.restart_rows import restart_row
from statemachine.journal.rows import attempt_row
from tests.cluster.fake_store import FakeEngine
from tests.cluster.nodes import LEASE_S, Node, engine, make_view, running, settled
from tests.cluster.virtual import in_virtual_time
from tests.journal.samples import attempt, notice

FIELDS_OF_A_LATER_VERSION: dict[str, Any] = {"later": {"id": "r1", "stage": "draining"}, "zone": None}
TERMS = PauseTerms(1_767_225_600.5, "driver update")
PAUSE = Pause(*TERMS, "alice")


def later_record(**more: Any) -> bytes:
    """Return a record as a later version may write it: more keys, more items of lists, more keys of objects."""
    view = make_view("a", State.PAUSED, pause=PAUSE)
    record = Record(
        "s", "n", attempt_row(attempt()), paused=True, view=view, streak=Streak(Reason.PROMPT_LOST, 1), pause=PAUSE
    )
    data = orjson.loads(record.encoded("a"))
    for key in ("attempt", "attempt_message", "streak", "pause", "view"):
        data[key].append(f"more of {key}")
    return orjson.dumps({**data, **FIELDS_OF_A_LATER_VERSION, **more})


def test_record_of_a_later_version_is_written_with_all_it_has() -> None:
    stored = orjson.loads(later_record())
    written = orjson.loads(read_record(later_record()).owned_by("m", "t").encoded("a"))
    assert written == {**stored, "node": "m", "session": "t"}


def test_rest_of_a_list_is_kept_while_its_known_part_is() -> None:
    record = read_record(later_record())
    changed = Record(
        attempt=attempt_row(attempt(outcome=Outcome.SUCCEEDED)), pause=record.pause, view=None, unknown=record.unknown
    )
    written = orjson.loads(changed.encoded("a"))
    assert written["pause"] == [*PAUSE, "more of pause"]
    assert written["attempt"] == orjson.loads(Record(attempt=changed.attempt).encoded())["attempt"]
    assert written["view"] is None
    assert written["later"] == FIELDS_OF_A_LATER_VERSION["later"]


def test_record_with_an_unknown_outcome_keeps_the_other_fields() -> None:
    data = orjson.loads(later_record())
    data["attempt"][6] = "outcome of a later version"
    written = orjson.loads(read_record(orjson.dumps(data)).encoded("a"))
    assert written["attempt"][6] == Outcome.RECORDED.value
    assert written["attempt"][-1] == "more of attempt"


RESTART = Restart("r1", "a", RestartCause.OPERATOR, 100.0, "alice", RestartStage.DRAINING)


def record_with_restart(later: Callable[[list[Any]], Any]) -> bytes:
    """Return a record whose restart is as a later version writes it."""
    view = make_view("a", State.DRAINING, restart=RESTART)
    data = orjson.loads(Record("s", "n", view=view, restart=restart_row(RESTART)).encoded("a"))
    return orjson.dumps({**data, "restart": later(data["restart"])})


@pytest.mark.parametrize(
    "later",
    [
        lambda row: [*row[:5], "a stage of a later version", *row[6:]],
        lambda row: [*row[:2], "a cause of a later version", *row[3:]],
        lambda row: [*row[:3], "2027-01-01", *row[4:]],
        lambda row: {str(number): one for number, one in enumerate(row)},
        lambda row: "all in one text",
        lambda row: row[:2],
    ],
    ids=["stage", "cause", "time", "object", "text", "short"],
)
def test_restart_of_a_later_version_is_written_as_it_was(later: Callable[[list[Any]], Any]) -> None:
    stored = orjson.loads(record_with_restart(later))
    record = read_record(orjson.dumps(stored))
    written = orjson.loads(record.owned_by("m", "t").encoded("a"))
    assert record.saved_state.restart is None
    assert written == {**stored, "node": "m", "session": "t"}


def test_restart_of_a_later_version_is_replaced_by_another_one() -> None:
    record = read_record(record_with_restart(lambda _: "of a later version"))
    changed = replace(record, restart=restart_row(RESTART))
    assert read_record(changed.encoded("a")).saved_state.restart == RESTART


def test_view_of_a_later_version_stays_until_there_is_another_one() -> None:
    data = orjson.loads(Record("s", "n", view=make_view("a")).encoded("a"))
    data["view"][3] = "a state of a later version"
    record = read_record(orjson.dumps(data))
    assert orjson.loads(record.owned_by("m", "t").encoded("a"))["view"] == data["view"]
    changed = replace(record, view=make_view("a", State.COLD))
    assert read_record(changed.encoded("a")).view == make_view("a", State.COLD)


def test_lease_of_a_later_version_that_is_ended_keeps_its_fields() -> None:
    stored = {"node": "n", "session": "s", "fleet": "f", "beat": 3, "over": False, "version": "9.1"}
    lease = read_lease(orjson.dumps(stored))
    ended = Lease("n", "s", "f", 3, over=True, unknown=lease.unknown)
    assert orjson.loads(ended.encoded()) == {**stored, "over": True}


def test_unknown_fields_are_kept_up_to_a_limit() -> None:
    huge = read_record(later_record(more="x" * MOST_BYTES))
    assert orjson.loads(huge.encoded("a")).keys() == orjson.loads(Record().encoded()).keys()


def version_without_terms(value: bytes, **changes: Any) -> bytes:
    """Return the record that a node of the release before pauses had terms writes for this one.

    Its record has no `pause`, and its view ends before that of this version.
    """
    data = orjson.loads(value)
    names = ("server", "session", "node", "attempt", "attempt_message", "paused", "streak", "view", "message")
    view = data["view"] and data["view"][: ServerView._fields.index("pause")]
    return orjson.dumps({name: {**data, "view": view, **changes}[name] for name in names})


def paused_view(node: Node, request: e.PauseRequested) -> None:
    """Pause the node's server as its task does: entry, view and terms."""
    server = Server("a")
    (made,) = Machine().apply(server, request, 100.0)
    described = worded(made.message, "en")
    view = make_view("a", State.PAUSED, reason=Reason.PAUSE_REQUESTED, message=described, pause=server.pause)
    node.node.journal.append(entry_of(made, "g", described), None, view)
    node.node.journal.save_pause("a", server.pause)


def taken_over_by_an_older_node(shared: FakeEngine) -> None:
    """Play the takeover of the server by a node of the older version, which then dies."""
    shared.datasets[Dataset.NODES].add("old", Lease("old", "old session", beat=1).encoded())
    records = shared.datasets[Dataset.SERVERS]
    records.add("a", version_without_terms(records.keys["a"].value, node="old", session="old session"))
    shared.change()


async def saved_after_the_takeover(node: Node) -> SavedState:
    """Return what a node resumes after the lease of the older one has ended."""
    for _ in range(int(LEASE_S)):
        await settled()
    return (await node.node.journal.saved_states(["a"]))["a"]


@in_virtual_time
@pytest.mark.parametrize("successor", ["one", "two"])
async def test_pause_keeps_its_terms_over_an_older_owner(tmp_path: Path, successor: str) -> None:
    """The next owner is the node that paused the server, or one that has never seen its record."""
    shared = engine()
    node = Node(shared, "one", tmp_path, ("a",))
    async with running(node):
        paused_view(node, e.PauseRequested("alice", TERMS))
        node.node.journal.append(notice(server="a"), None)
        await settled()
    taken_over_by_an_older_node(shared)
    node = Node(shared, successor, tmp_path, ("a",))
    async with running(node):
        saved = await saved_after_the_takeover(node)
        assert (saved.paused, saved.pause) == (True, PAUSE)
        await settled()
        stored = read_record(shared.datasets[Dataset.SERVERS].keys["a"].value)
        assert (stored.node, stored.pause) == (node.name, PAUSE)


@in_virtual_time
async def test_pause_of_an_older_node_has_no_terms_of_an_earlier_one(tmp_path: Path) -> None:
    shared = engine()
    node = Node(shared, "one", tmp_path, ("a",))
    async with running(node):
        paused_view(node, e.PauseRequested("alice", TERMS))
        await settled()
        paused_view(node, e.PauseRequested("bob"))
        await settled()
    taken_over_by_an_older_node(shared)
    node = Node(shared, "one", tmp_path, ("a",))
    async with running(node):
        saved = await saved_after_the_takeover(node)
        assert (saved.paused, saved.pause) == (True, Pause(by="bob"))


@pytest.mark.parametrize("pause", [NO_PAUSE, PAUSE, Pause(by="bob"), Pause(note="n"), Pause(5.0)])
def test_described_pause_is_the_pause_that_a_message_describes(pause: Pause) -> None:
    assert described_pause(paused_message(pause)) == pause


def paused_message(pause: Pause) -> Any:
    what = pause.described(message("reason.pause_requested"))
    return message("requested_by", what=what, by=pause.by) if pause.by is not None else what


@pytest.mark.parametrize("restart", ["of a later version", {"stage": "later"}, ["a", "r1", "a later cause"]])
def test_entry_with_a_restart_of_a_later_version_is_read(restart: Any) -> None:
    """The entry and the view are shown; only the restart is not."""
    view = make_view("a", State.DRAINING, restart=RESTART)
    data = orjson.loads(SharedEntry("1", "s", notice(), view).encoded())
    data["view"][-1] = restart
    read = shared_entry_from(orjson.dumps(data))
    assert read.view == view._replace(restart=None)
