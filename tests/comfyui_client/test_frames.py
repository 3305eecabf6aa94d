"""Decoding of frames: those of the recordings, and malformed ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.frames import decode, is_session_start
from statemachine.core import events as e
from statemachine.core.vocabulary import Source
from statemachine.i18n.render import sentence
from tests.transcript import NAMES, REFERENCE, VERSIONS, recorded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TYPES = [
    "status", "execution_start", "execution_cached", "executing", "progress", "progress_state", "executed",
    "execution_success", "execution_error", "execution_interrupted", "crystools.monitor", "comfywarm.cache",
]  # fmt: skip


def events_of(name: str, conn: str, version: str = REFERENCE) -> list[e.Event]:
    """Return the events of one connection in a recording."""
    lines = recorded(name, version)
    frames = [json.dumps(line["frame"]) for line in lines if line["conn"] == conn and "frame" in line]
    return [event for event in map(decode, frames) if event is not None]


def summary(name: str, conn: str, version: str) -> list[str]:
    """Return the queue's length or the event's class for each event other than progress."""
    texts = (
        f"queue {one.remaining}" if isinstance(one, e.QueueSeen) else type(one).__name__
        for one in events_of(name, conn, version)
    )
    return [one for one in texts if one != "PromptProgress"]


START, CACHED, NODE = ["queue 1", "queue 1"], "PromptCached", "PromptNodeStarted"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "conn", "expected"),
    [
        (
            "01_success_with_progress",
            "owner",
            ["queue 0", *START, CACHED, NODE, NODE, NODE, NODE, "PromptSucceeded", "queue 0"],
        ),
        ("02_resubmitted_everything_cached", "owner", ["queue 0", *START, CACHED, "PromptSucceeded", "queue 0"]),
        ("04_node_raises", "owner", ["queue 0", *START, CACHED, NODE, "PromptFailed", "queue 0"]),
        ("05_interrupted", "owner", ["queue 0", *START, CACHED, NODE, "PromptInterrupted", "queue 0"]),
        ("05_interrupted", "observer", ["queue 0", *START, "queue 0"]),
        (
            "06_pending_deleted",
            "owner",
            ["queue 0", *START, CACHED, NODE, "queue 2", "queue 1", "queue 1", NODE, "PromptSucceeded", "queue 0"],
        ),
        ("08_second_socket_same_client_id", "second", ["queue 0"]),
    ],
)
def test_decode_recording_gives_expected_events(name: str, conn: str, expected: list[str], version: str) -> None:
    assert summary(name, conn, version) == expected


def test_decode_recording_without_client_id_has_no_success() -> None:
    for conn in {line["conn"] for line in recorded("03_submitted_without_client_id")} - {"http", "note"}:
        kinds = {type(event) for event in events_of("03_submitted_without_client_id", conn)}
        assert kinds <= {e.QueueSeen, e.PromptProgress}


def test_decode_recordings_give_every_frame_event() -> None:
    kinds = {
        type(event)
        for name in NAMES
        for conn in {line["conn"] for line in recorded(name)}
        for event in events_of(name, conn)
    }
    assert kinds == {
        e.QueueSeen, e.PromptCached, e.PromptNodeStarted, e.PromptProgress, e.PromptSucceeded, e.PromptFailed,
        e.PromptInterrupted, e.CacheReported,
    }  # fmt: skip


def test_decode_recorded_failure_names_node_and_cause() -> None:
    (failure,) = [event for event in events_of("04_node_raises", "owner") if isinstance(event, e.PromptFailed)]
    assert sentence(failure.message) == "node 10 (RigSlowModel) raised RuntimeError: CUDA out of memory (rig)"
    assert failure.out_of_memory
    assert failure.proved_by is Source.WS


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("torch.OutOfMemoryError", "Allocation on device", True),
        ("torch.cuda.OutOfMemoryError", "", True),
        ("RuntimeError", "CUDA error: Out Of Memory", True),
        ("RuntimeError", "x " * 300 + "not enough memory: you tried to allocate 8 bytes", True),
        ("RuntimeError", "Could not allocate tensor with 8 bytes.\n There is not enough\nGPU video memory", True),
        ("ValueError", "wrong size", False),
    ],
)
def test_decode_failure_recognises_out_of_memory(kind: str, text: str, expected: bool) -> None:
    event = decode(frame("execution_error", prompt_id="p", exception_type=kind, exception_message=text))
    assert isinstance(event, e.PromptFailed)
    assert event.out_of_memory is expected


def test_decode_failure_of_blocked_node_keeps_its_text() -> None:
    blocked = {
        "exception_type": "ExecutionBlocked",
        "exception_message": "Execution Blocked: out of memory",
        "node_id": "20",
        "node_type": "Save",
    }
    event = decode(frame("execution_error", prompt_id="p", **blocked))
    assert isinstance(event, e.PromptNodeBlocked)
    assert event.prompt_id == "p"
    assert sentence(event.blocked) == "node 20 (Save) was skipped, because it was blocked: out of memory"


def test_decode_recorded_progress_grows_to_node_count() -> None:
    done = [one.done for one in events_of("01_success_with_progress", "owner") if isinstance(one, e.PromptProgress)]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0.0, 4.0)


def test_decode_executing_without_node_is_none() -> None:
    assert decode(frame("executing", node=None, prompt_id="p")) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "execution_success", "data": {"prompt_id": "p"}}',
        '{"type":"execution_success","data":{"prompt_id":"p"}}',
        ' {\n "type" :\t"execution_success", "data": {"prompt_id": "p"}}',
        '{"data": {"prompt_id": "p", "type": "status"}, "type": "execution_success"}',
        '{"sid": "x", "type": "execution_success", "data": {"prompt_id": "p"}}',
        '{"type": "execution\\u005fsuccess", "data": {"prompt_id": "p"}}',
    ],
)
def test_decode_any_json_notation_is_accepted(text: str) -> None:
    assert decode(text) == e.PromptSucceeded("p", Source.WS)


def test_decode_prompt_frame_without_warm_up_is_none() -> None:
    success = frame("execution_success", prompt_id="p")
    assert decode(success, in_flight=False) is None
    assert decode(success, in_flight=True) == e.PromptSucceeded("p", Source.WS)


def test_decode_queue_and_cache_frames_without_warm_up_are_decoded() -> None:
    texts = [frame("status", status={"exec_info": {"queue_remaining": 0}}), frame("comfywarm.cache", **CHANGE)]
    assert all(decode(text, in_flight=False) is not None for text in texts)


def test_is_session_start_is_true_for_status_only() -> None:
    assert is_session_start(frame("status", status={"exec_info": {"queue_remaining": 0}}, sid="x"))
    assert not is_session_start(frame("crystools.monitor", cpu=1))
    assert not is_session_start("\x00\x01")


def frame(kind: str, **data: Any) -> str:
    return json.dumps({"type": kind, "data": data})


DEEP = "[" * 1000 + "]" * 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"type":"status"}',
        '{"type":["status"],"data":{}}',
        '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":null}}}}',
        '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":1e999}}}}',
        '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":-1}}}}',
        '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":true}}}}',
        '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":99999999999}}}}',
        '{"type":"execution_success","data":{"prompt_id":7}}',
        '{"type":"executing","data":{"node":"1"}}',
        '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":1.5}}}}',
        '{"type":"status","data":{"status":{"exec_info":{"queue_remaining":NaN}}}}',
        '{"type":"progress_state","data":{"prompt_id":"p","nodes":null}}',
        f'{{"type":"executing","data":{{"prompt_id":"p","node":{DEEP}}}}}',
        f'{{"type":"execution_cached","data":{{"prompt_id":"p","nodes":[{DEEP}]}}}}',
    ],
)
def test_decode_malformed_frame_is_none(text: str) -> None:
    assert decode(text) is None


@pytest.mark.parametrize("node", [
    {"value": 5, "max": 0}, {"value": 5, "max": float("nan")}, {"value": float("nan"), "max": 5},
    {"value": 5, "max": 10**400}, {"value": "x", "max": 1}, {"value": 5}, None, [], "x",
])  # fmt: skip
def test_decode_progress_of_unreadable_node_counts_as_zero(node: object) -> None:
    event = decode(frame("progress_state", prompt_id="p", nodes={"1": node, "2": {"value": 1, "max": 2}}))
    assert event == e.PromptProgress("p", 0.5)


def test_decode_queue_length_may_be_a_whole_float() -> None:
    assert decode(frame("status", status={"exec_info": {"queue_remaining": 3.0}})) == e.QueueSeen(3, Source.WS)


def test_decode_failure_with_python_numbers_and_surrogates_is_read() -> None:
    inputs = {"strength": [float("inf")], "seed": [10**400], "name": ["\ud800"], "noise": [float("nan")]}
    text = frame(
        "execution_error", prompt_id="p", node_id="5", node_type="Sampler", exception_type="ValueError",
        exception_message="bad \udcff", current_inputs=inputs,
    )  # fmt: skip
    event = decode(text)
    assert isinstance(event, e.PromptFailed)
    assert sentence(event.message) == "node 5 (Sampler) raised ValueError: bad \ufffd"


@given(st.text())
def test_decode_any_text_never_raises(noise: str) -> None:
    decode(noise)


@given(kind=st.sampled_from(TYPES), data=JSON)
def test_decode_any_data_never_raises(kind: str, data: Any) -> None:
    decode(json.dumps({"type": kind, "data": data}))


PARTS = st.dictionaries(
    st.sampled_from(["prompt_id", "node", "nodes", "status", "exception_type", "exception_message"]), JSON
)


@given(kind=st.sampled_from(TYPES), data=PARTS, prompt_id=st.text(max_size=5))
def test_decode_any_members_never_raise(kind: str, data: dict[str, Any], prompt_id: str) -> None:
    event = decode(json.dumps({"type": kind, "data": {**data, "prompt_id": prompt_id}}))
    assert event is None or getattr(event, "prompt_id", prompt_id) == prompt_id


# The companion node.

CHANGE = {"comfywarm": 1, "instance": "4f", "sequence": 18, "change": "evicted", "present": ["a", "键"]}


def cache_frame(**more: object) -> e.Event | None:
    return decode(json.dumps({"type": "comfywarm.cache", "data": {**CHANGE, **more}}))


def test_decode_cache_frame_has_all_present_keys() -> None:
    assert cache_frame() == e.CacheReported("4f", 18, frozenset({"a", "键"}), truncated=False)
    assert cache_frame(truncated=True, present=[]) == e.CacheReported("4f", 18, frozenset(), truncated=True)


@pytest.mark.parametrize(
    "more",
    [
        {"comfywarm": 2},
        {"instance": ""},
        {"instance": "x" * 101},
        {"instance": None},
        {"sequence": "18"},
        {"sequence": True},
        {"sequence": -1},
        {"sequence": 2**63},
        {"present": "a"},
        {"present": ["a", 7]},
        {"present": None},
    ],
)
def test_decode_malformed_cache_frame_is_none(more: dict[str, object]) -> None:
    assert cache_frame(**more) is None


def test_decode_hides_what_is_quoted() -> None:
    """The texts of errors are quoted and the companion node's instance is kept; ids and nodes are only compared."""

    def hide(text: str) -> str:
        return text.replace("secret", "***")

    texts = dict.fromkeys(("exception_type", "exception_message", "node_id", "node_type"), "a secret")
    failed = decode(frame("execution_error", prompt_id="p", **texts), hide=hide)
    reported = decode(json.dumps({"type": "comfywarm.cache", "data": {**CHANGE, "instance": "secret"}}), hide=hide)
    assert isinstance(failed, e.PromptFailed)
    assert set(failed.message.params.values()) == {"a ***"}
    assert isinstance(reported, e.CacheReported)
    assert reported.instance == "***"
