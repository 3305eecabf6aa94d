"""Parsing of /queue and /history: recorded answers, markers, and malformed answers, which are never empty."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.errors import IncompleteQueueError, NotUnderstoodError
from statemachine.comfyui.records import HistoryEntry, Marker, end_of, history_entries, queue_listing
from statemachine.core import events as e
from statemachine.core.server import Attempt
from statemachine.core.vocabulary import Source
from statemachine.i18n.render import sentence
from tests.comfyui_client.fakes import history_entry, history_of, marker_of, queue_entry, workflow
from tests.comfyui_client.test_frames import JSON
from tests.transcript import RECORDINGS, recorded

MARKER = Marker("ours", "w", "d")
OURS = Attempt("a", "w", "ours", 0.0, server_prompt_id="theirs")


def answers(path: str) -> list[dict[str, Any]]:
    """Return every recorded answer of a route."""
    lines = (line for version, name in RECORDINGS for line in recorded(name, version))
    return [line["json"] for line in lines if "json" in line and line["request"].startswith(f"GET {path}")]


def readable(answer: dict[str, Any]) -> list[HistoryEntry]:
    """Return the entries that are understood."""
    return [entry for entry in history_entries(answer) if isinstance(entry, HistoryEntry)]


def recorded_end(name: str) -> e.PromptEnd:
    """Return how the first prompt of a recording ended, by its history."""
    entries = [line["json"] for line in recorded(name) if line.get("request", "").startswith("GET /history/")]
    return next(entry.end for answer in entries for entry in readable(answer))


def test_history_entries_recorded_answers_are_parsed() -> None:
    entries = [entry for answer in answers("/history") for entry in readable(answer)]
    assert len(entries) >= 50
    assert all(entry.end.prompt_id == entry.prompt_id for entry in entries)
    assert all(entry.end.proved_by is Source.HISTORY for entry in entries)
    assert not any(entry.marker for entry in entries)


def test_queue_listing_recorded_answers_are_parsed() -> None:
    items = [item for answer in answers("/queue") for item in queue_listing(answer).items]
    assert {key for item in items for key in item.cache_keys} >= {"a-0", "a-1", "k-0", "q-1", "q-5"}
    twice = [item.prompt_id for item in items if item.prompt_id == "3f0c9b9e-51c0-4a34-9a25-6d2c7f4ab009"]
    assert len(twice) % 2 == 0


def test_history_entries_distinguish_failure_from_interrupt() -> None:
    assert isinstance(recorded_end("01_success_with_progress"), e.PromptSucceeded)
    assert isinstance(recorded_end("05_interrupted"), e.PromptInterrupted)
    failure = recorded_end("04_node_raises")
    assert isinstance(failure, e.PromptFailed)
    assert failure.out_of_memory
    assert sentence(failure.message) == "node 10 (RigSlowModel) raised RuntimeError: CUDA out of memory (rig)"


def test_history_entries_success_has_cached_nodes() -> None:
    end = recorded_end("02_resubmitted_everything_cached")
    assert isinstance(end, e.PromptSucceeded)
    assert end.cached_nodes is not None
    assert set(end.cached_nodes) == {"10", "20", "11", "21"}


def test_history_entries_outputs_omit_dropped_nodes() -> None:
    answer = next(
        line["json"] for line in recorded("07_refused_and_misdirected") if "GET /history" in line.get("request", "")
    )
    (entry,) = readable(answer)
    assert entry.outputs == {"20"}
    assert "31" in entry.graph


def test_marker_is_read_from_queue_and_history() -> None:
    entry = queue_entry("theirs", {}, MARKER)
    (item,) = queue_listing({"queue_running": [entry], "queue_pending": []}).items
    (past,) = history_entries({"theirs": history_entry(entry)})
    assert item.marker == past.marker == MARKER


def test_prompt_with_replaced_nodes_is_identified_by_its_marker() -> None:
    """ComfyUI 0.14 and later keeps the graph with other classes and inputs than those that were posted."""
    replaced = {node: {"class_type": "New", "inputs": {}} for node in workflow("w", "k1").graph}
    entry = queue_entry("theirs", replaced, MARKER)
    (item,) = queue_listing({"queue_running": [], "queue_pending": [entry]}, 1).items
    assert item.is_of(OURS)
    assert end_of(OURS, history_entries({"theirs": history_entry(entry)})) is not None


@pytest.mark.parametrize("extra", [None, {}, {"comfywarm": None}, {"comfywarm": "x"}, {"comfywarm": {"attempt": 1}}])
def test_marker_malformed_is_ignored(extra: object) -> None:
    (item,) = queue_listing({"queue_running": [], "queue_pending": [[1, "x", {}, extra, []]]}).items
    assert item.marker is None
    assert not item.is_of(OURS)


def test_queue_item_is_of_attempt_by_either_id_or_marker() -> None:
    entries = [queue_entry("ours"), queue_entry("theirs"), queue_entry("other", {}, MARKER), queue_entry("other")]
    items = queue_listing({"queue_running": entries, "queue_pending": []}).items
    assert [item.is_of(OURS) for item in items] == [True, True, True, False]


def test_cache_keys_are_those_that_nodes_set() -> None:
    graph = dict(workflow("w", "k1", "k2").graph)
    graph["30"] = {"class_type": "RetrieveBackendData //Inspire", "inputs": {"key": "k3"}}
    graph["31"] = {"class_type": "CacheBackendData //Inspire", "inputs": {"key": ["10", 0]}}
    graph["32"] = {"class_type": "CacheModel //comfywarm", "inputs": {"key": "k3"}}
    graph["33"] = {"class_type": "CachedModel //comfywarm", "inputs": {"key": "k4"}}
    (item,) = queue_listing({"queue_running": [queue_entry("x", graph)], "queue_pending": []}).items
    assert item.cache_keys == {"k1", "k2", "k3"}


def test_cache_keys_malformed_graph_has_none() -> None:
    graph: dict[str, Any] = {"1": None, "2": {"class_type": "CacheBackendData //Inspire"}, "3": {"inputs": []}}
    (item,) = queue_listing({"queue_running": [[1, "x", graph, {}, []]], "queue_pending": []}).items
    assert item.cache_keys == frozenset()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"queue_running": []},
        {"queue_running": None, "queue_pending": None},
        {"queue_running": {}, "queue_pending": {}},
        {"queue_running": "", "queue_pending": ""},
    ],
)
def test_queue_listing_malformed_answer_raises(answer: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstoodError):
        queue_listing(answer)


@pytest.mark.parametrize("entry", ["abcd", [1], None, {}])
@pytest.mark.parametrize("part", ["queue_running", "queue_pending"])
def test_queue_listing_malformed_prompt_is_incomplete(part: str, entry: object) -> None:
    answer: dict[str, Any] = {"queue_running": [], "queue_pending": [], part: [queue_entry("x"), entry]}
    listing = queue_listing(answer)
    assert [item.prompt_id for item in listing.items] == ["x"]
    assert listing.unreadable == 1
    assert not listing.complete
    with pytest.raises(IncompleteQueueError, match="lists 1 of 2 prompts"):
        listing.raise_if_incomplete()


@pytest.mark.parametrize(("counted", "complete"), [(0, True), (1, True), (2, True), (3, False)])
def test_queue_listing_shorter_than_the_count_is_incomplete(counted: int, *, complete: bool) -> None:
    listing = queue_listing({"queue_running": [queue_entry("x")], "queue_pending": [queue_entry("y")]}, counted)
    assert listing.complete is complete
    assert listing.length == max(counted, 2)


def broken(**changed: Any) -> dict[str, Any]:
    entry = history_of(workflow("w", "k1"), "p")["p"]
    return {"p": {**entry, **changed}}


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "unauthorised"},
        {"error": {"type": "unauthorised"}, "node_errors": {}},
        {"p": None},
        {"p": {}},
        broken(prompt=None),
        broken(prompt=[1, "p"]),
    ],
)
def test_history_entries_without_any_prompt_raise(answer: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstoodError):
        history_entries(answer)


MALFORMED_ENTRIES = [
    None,
    [],
    {},
    broken(prompt=None)["p"],
    broken(prompt=[1, "p"])["p"],
    broken(status=None)["p"],
    broken(status={"status_str": "success"})["p"],
    broken(status={"status_str": "queued", "messages": []})["p"],
    broken(status={"status_str": float("nan"), "messages": []})["p"],
]


@pytest.mark.parametrize("entry", MALFORMED_ENTRIES)
def test_history_entries_one_malformed_entry_hides_no_other(entry: object) -> None:
    entries = history_entries({"x": entry, **history_of(workflow("w", "k1"), "ours")})
    assert [(type(one).__name__, one.prompt_id) for one in entries] == [
        ("UnreadableEntry", "x"),
        ("HistoryEntry", "ours"),
    ]
    assert end_of(OURS, entries) == e.PromptSucceeded("ours", Source.HISTORY, ())


@pytest.mark.parametrize("entry", MALFORMED_ENTRIES)
def test_end_of_malformed_entry_that_may_be_ours_raises(entry: object) -> None:
    foreign = {"y": history_entry(queue_entry("y"))}
    for prompt_id in ("ours", "theirs"):
        with pytest.raises(NotUnderstoodError):
            end_of(OURS, history_entries({prompt_id: entry, **foreign}))
    marked = {"x": broken(prompt=queue_entry("x", {}, MARKER), status=None)["p"]}
    with pytest.raises(NotUnderstoodError):
        end_of(OURS, history_entries(marked))


def test_malformed_entry_under_another_id_may_be_ours_until_accepted() -> None:
    entries = history_entries({"x": None, "y": history_entry(queue_entry("y"))})
    with pytest.raises(NotUnderstoodError):
        end_of(OURS, entries)
    assert end_of(replace(OURS, accepted_at=1.0), entries) is None
    assert end_of(OURS, history_entries({"x": history_entry(queue_entry("x")) | {"status": None}})) is None


@pytest.mark.parametrize("message", [["submitted"], None, [1, 2, 3], [None, None], ["execution_cached", {"nodes": 5}]])
def test_history_entries_malformed_message_hides_no_end(message: Any) -> None:
    entry = history_entry(queue_entry("p"), "success", message)
    (read,) = readable({"p": entry})
    assert isinstance(read.end, e.PromptSucceeded)
    failed = history_entry(queue_entry("p"), "error", RAISED, message)
    (read,) = readable({"p": failed})
    assert isinstance(read.end, e.PromptFailed)
    assert sentence(read.end.message) == "node 5 (Sampler) raised ValueError: bad"


RAISED = ["execution_error", {
    "node_id": "5", "node_type": "Sampler", "exception_type": "ValueError", "exception_message": "bad",
}]  # fmt: skip
BLOCKED = ["execution_error", {
    "node_id": "6", "node_type": "Switch", "exception_type": "ExecutionBlocked", "exception_message": "no",
}]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "messages", "expected"),
    [
        ("success", [BLOCKED], "success"),
        ("error", [BLOCKED, RAISED], "node 5 (Sampler) raised ValueError: bad"),
        ("error", [RAISED, BLOCKED], "node 5 (Sampler) raised ValueError: bad"),
        ("error", [BLOCKED], "node 6 (Switch) raised ExecutionBlocked: no"),
        ("error", [BLOCKED, ["execution_interrupted", {}]], "interrupted"),
    ],
)
def test_history_entries_blocked_node_is_not_the_end(status: str, messages: list[Any], expected: str) -> None:
    (entry,) = readable({"p": history_entry(queue_entry("p"), status, *messages)})
    kinds = {"success": e.PromptSucceeded, "interrupted": e.PromptInterrupted}
    assert isinstance(entry.end, kinds.get(expected, e.PromptFailed))
    if isinstance(entry.end, e.PromptFailed):
        assert sentence(entry.end.message) == expected


@given(st.dictionaries(st.sampled_from(["queue_running", "queue_pending", "p"]), JSON))
def test_queue_listing_any_answer_counts_every_prompt_or_raises(answer: dict[str, Any]) -> None:
    try:
        listing = queue_listing(answer)
    except NotUnderstoodError:
        return
    assert listing.length == len(answer["queue_running"]) + len(answer["queue_pending"])
    assert listing.complete is (listing.unreadable == 0)


STATUS = st.fixed_dictionaries({"status_str": JSON | st.just("success"), "messages": JSON})
ENTRY = st.fixed_dictionaries({"prompt": st.lists(JSON, max_size=6) | JSON, "status": STATUS | JSON})


@given(st.dictionaries(st.text(max_size=3), ENTRY | JSON, max_size=2))
def test_history_entries_any_answer_is_complete_or_raises(answer: dict[str, Any]) -> None:
    try:
        entries = history_entries(answer)
    except NotUnderstoodError:
        return
    assert [entry.prompt_id for entry in entries] == list(answer)


def test_marker_round_trip_is_equal() -> None:
    submitted = workflow("w", "k1")
    (entry,) = history_entries(history_of(submitted, "ours"))
    assert entry.marker == marker_of(submitted)
