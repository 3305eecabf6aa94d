"""Large JSON answers are reduced as they are read; the result means the same as the whole answer."""

import json
from typing import Any

import orjson
import pytest

from statemachine.comfyui import splitting
from statemachine.comfyui.condensing import history_entry, node_class, queue_entry
from statemachine.comfyui.records import HistoryEntry, history_entries, queue_listing
from statemachine.comfyui.splitting import Splitter, TooManyItemsError
from tests.support.large_answers import ended, prompt

QUEUE: Any = {"queue_running": [prompt(0)], "queue_pending": [prompt(number) for number in (1, 2)]}
QUEUE["queue_running"][0][3]["comfywarm"] = {"attempt": "a", "workflow": 'w "1" [{', "digest": "d"}
HISTORY: Any = {f"id-{number}": ended(number) for number in range(3)}


def split(text: bytes, level: int, reduce: Any = lambda value, _: value, piece: int = 4096) -> bytes:
    splitter = Splitter(level, reduce)
    for at in range(0, len(text), piece):
        splitter.feed(text[at : at + piece])
    return splitter.finish()


@pytest.mark.parametrize("piece", [1, 7, 64, 5000, 10**6])
def test_splitter_result_does_not_depend_on_pieces(piece: int) -> None:
    texts = ['"', "\\", '\\"', "[]{}", "é中😀", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")]
    value = {"queue": [[1, {"a": texts}], {"b": [[], {}]}], "n": [1, None], "": "x"}
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert orjson.loads(split(text.encode(), 2, piece=piece)) == value


@pytest.mark.parametrize("character", ["A", "é", "中", "😀", "\n", "\\", '"', "\x01"])
@pytest.mark.parametrize("escaped", [False, True])
def test_splitter_keeps_beginning_of_long_text(character: str, *, escaped: bool) -> None:
    text = json.dumps([["x" + character * 40_000, "after"]], ensure_ascii=escaped)
    ((beginning, after),) = orjson.loads(split(text.encode(), 1, piece=1000))
    assert (("x" + character * 40_000).startswith(beginning), after) == (True, "after")
    assert 2_000 < len(beginning) <= splitting.LONG_TEXT


def test_reduced_queue_has_same_prompts_keys_and_markers() -> None:
    reduced = split(json.dumps(QUEUE).encode(), 2, queue_entry)
    assert len(reduced) < 1_000
    whole, read = queue_listing(QUEUE), queue_listing(orjson.loads(reduced))
    for one, other in zip(whole.items, read.items, strict=True):
        assert (one.prompt_id, one.marker, one.cache_keys) == (other.prompt_id, other.marker, other.cache_keys)
    assert whole.items[0].cache_keys == {"k0"}


def test_reduced_history_has_same_ends_and_outputs() -> None:
    read = history_entries(orjson.loads(split(json.dumps(HISTORY).encode(), 1, history_entry)))
    whole = history_entries(HISTORY)
    for one, other in zip(whole, read, strict=True):
        assert isinstance(one, HistoryEntry)
        assert isinstance(other, HistoryEntry)
        assert (one.prompt_id, one.marker, one.end) == (other.prompt_id, other.marker, other.end)
        assert one.outputs == other.outputs == {"9"}


@pytest.mark.parametrize(
    "entry", [None, 1, "x", [], {}, [1], [1, "a"], [1, "a", None, None], [1, 2, {"n": 3}, "x"], {"prompt": 3}, [[]] * 4]
)
def test_reduced_odd_entry_is_understood_like_the_whole_one(entry: object) -> None:
    queue = {"queue_running": [entry], "queue_pending": []}
    read = orjson.loads(split(orjson.dumps(queue), 2, queue_entry))
    one, other = queue_listing(queue), queue_listing(read)
    assert (len(one.items), one.unreadable) == (len(other.items), other.unreadable)
    assert [item.marker for item in one.items] == [item.marker for item in other.items]


def test_entry_beyond_its_limit_is_unreadable_and_others_are_read() -> None:
    many_nodes = {str(at): {"class_type": "x"} for at in range(6_000)}
    several: list[list[Any]] = [[1, "huge", many_nodes, {}, []], [[]] * 60_000]
    for huge in several:
        queue = {"queue_running": [huge], "queue_pending": [prompt(1)]}
        listing = queue_listing(orjson.loads(split(orjson.dumps(queue), 2, queue_entry)), 2)
        assert ([item.prompt_id for item in listing.items], listing.complete) == (["id-1"], False)


def test_reduced_class_keeps_inputs_of_the_wanted_one_only() -> None:
    wanted = {"input": {"required": {"a": [["x.ckpt"]]}}, "output_node": False, "output": ["MODEL"]}
    answer = {"Other": {"input": {"required": {}}}, 'We"ird 类': wanted, "No": {}}
    read = orjson.loads(split(json.dumps(answer).encode(), 1, node_class('We"ird 类')))
    assert read == {
        "Other": {"input": {}},
        'We"ird 类': {name: wanted[name] for name in ("input", "output_node")},
        "No": {},
    }


@pytest.mark.parametrize("text", [b'{"a":[', b'{"a":[{"b":1]}', b'{"a":"', b'{"a":"\\', b'{"a":[[1,]]}', b"[[[}}}"])
def test_splitter_invalid_json_raises(text: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(split(text, 2))


@pytest.mark.parametrize(
    "text",
    [b'{"a":[' + b"[]," * 10_000, b"[" * 2_000_000, b'{"a":[' + b"1," * 200_000 + b"1]}", b'{"a":["' + b'","' * 2**21],
    ids=["entries", "brackets", "numbers", "texts"],
)
def test_splitter_too_many_items_raises(text: bytes) -> None:
    with pytest.raises(TooManyItemsError):
        split(text, 2)
