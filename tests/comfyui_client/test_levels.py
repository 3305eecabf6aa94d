"""The levels in the companion node's answers and frames, and the graph that brings models back into memory."""

import json
from typing import Any

import pytest

from statemachine.comfyui.frames import MAX_LEVELS, decode, parse_places
from statemachine.comfyui.load_nodes import load_node_count, with_load_nodes
from statemachine.comfyui.workflow import Workflow, parse_workflow, with_varied_tag
from statemachine.core import events as e
from statemachine.core.levels import KeyPlace, Level
from statemachine.core.messages import message
from tests.comfyui_client.check_builders import (
    INSPIRE,
    KEYLESS,
    NODE,
    TEXT,
    A,
    B,
    answer_of,
    check_of,
    inspire_reply,
    node_reply,
)
from tests.comfyui_client.fakes import text_reply

KEY, RAM, VRAM = Level
AT_RAM: dict[str, Any] = {"level": "ram", "highest": "vram"}
AT_VRAM: dict[str, Any] = {"level": "vram", "highest": "vram"}


@pytest.mark.parametrize(
    "report",
    [
        None, True, 1, "ram", [], ["ram"], {}, {"highest": "ram"}, {"level": None}, {"level": 2}, {"level": True},
        {"level": "RAM"}, {"level": "disk"}, {"level": ["ram"]}, {"level": {"ram": 1}}, {"level": "ram", "highest": 3},
        {"level": "ram", "highest": None}, {"level": "r" * 100_000},
    ],
    ids=lambda report: repr(report)[:30],
)  # fmt: skip
def test_report_that_is_not_understood_is_no_level(report: object) -> None:
    assert parse_places({"a": report, "b": {"level": "ram"}}) == {"b": KeyPlace(RAM, VRAM)}


@pytest.mark.parametrize("levels", [None, True, 0, "ram", [], [["k1", "ram"]]])
def test_member_that_is_not_an_object_reports_no_levels(levels: object) -> None:
    assert parse_places(levels) is None


def test_number_of_levels_is_limited() -> None:
    places = parse_places({f"k{number}": {"level": "ram"} for number in range(100_000)})
    assert places is not None
    assert len(places) == MAX_LEVELS


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"k1": {"level": "key", "highest": "ram"}, "x": AT_VRAM}, {"k1": KeyPlace(KEY, RAM), "x": KeyPlace(VRAM)}),
        ({}, {}),
        ("absent", None),
        ([], None),
    ],
)
def test_frame_with_levels_is_read_and_others_stay_valid(levels: object, expected: object) -> None:
    data = {"comfywarm": 1, "instance": "i", "sequence": 3, "change": "levels", "present": ["k1"]}
    event = decode(json.dumps({"type": "comfywarm.cache", "data": {**data, "levels": levels}}))
    assert event == e.CacheReported("i", 3, frozenset({"k1"}), False, expected)  # type: ignore[arg-type]


def wanted(level: Level, of: Workflow = A) -> Workflow:
    return of.wanted_at(level)


@pytest.mark.parametrize(
    ("warm", "levels", "below", "needed"),
    [
        (VRAM, {"k1": AT_RAM, "k2": AT_VRAM}, ("k1",), ("a",)),
        (VRAM, {"k1": AT_VRAM, "k2": AT_VRAM}, (), ()),
        (RAM, {"k1": AT_RAM, "k2": AT_VRAM}, (), ()),
        (RAM, {"k1": {"level": "key"}}, ("k1",), ("a",)),
        (VRAM, {"k1": {"level": "ram", "highest": "ram"}}, (), ()),
        (VRAM, {}, (), ()),
        (VRAM, {"k1": "hostile", "k2": {"level": 5}}, (), ()),
        (KEY, {"k1": {"level": "key"}, "k2": {"level": "key"}}, (), ()),
    ],
)
async def test_check_compares_levels_with_wanted(
    warm: Level, levels: object, below: tuple[str, ...], needed: tuple[str, ...]
) -> None:
    check, _ = check_of({NODE: node_reply(levels=levels)}, workflows=(wanted(warm),))
    answer = await answer_of(check)
    assert (answer.below, answer.needed, answer.missing) == (below, needed, ())


@pytest.mark.parametrize(
    ("levels", "names"),
    [({"k1": AT_RAM, "k2": AT_RAM}, None), ({"k1": AT_VRAM}, ("k2",)), ({"k1": 5}, ("k1", "k2"))],
)
async def test_keys_whose_level_is_not_counted_are_named(levels: object, names: tuple[str, ...] | None) -> None:
    check, _ = check_of({NODE: node_reply(levels=levels)}, workflows=(wanted(RAM),))
    expected = None if names is None else message("level_not_counted", names=list(names))
    assert (await answer_of(check)).caveat == expected


async def test_wanted_level_of_workflow_without_keys_is_not_observed() -> None:
    check, _ = check_of({TEXT: text_reply("缓存已加载。")}, "text", workflows=(wanted(VRAM, KEYLESS),))
    assert (await answer_of(check)).caveat == message("level_not_observed", names=["plain"])


async def test_level_of_a_key_is_the_highest_that_a_workflow_wants() -> None:
    path = "/cache/check?key=k1&key=k2&key=k3"
    reply = node_reply(present=("k1", "k2", "k3"), levels={"k3": AT_RAM, "k1": AT_RAM, "foreign": AT_RAM})
    check, _ = check_of({path: reply}, workflows=(wanted(RAM), wanted(VRAM, B)))
    answer = await answer_of(check)
    assert (answer.below, answer.needed) == (("k3",), ("b",))
    assert answer.places == {"k1": KeyPlace(RAM), "k3": KeyPlace(RAM)}
    assert answer.node_cursor is not None
    assert answer.node_cursor.wanted == {"k1": RAM, "k2": RAM, "k3": VRAM}


@pytest.mark.parametrize("hostile", [None, [], 7, "absent"])
async def test_wanted_level_that_is_not_reported_rests_on_keys(hostile: object) -> None:
    check, _ = check_of({NODE: node_reply(levels=hostile)}, workflows=(wanted(VRAM),))
    answer = await answer_of(check)
    assert (answer.places, answer.below, answer.needed) == (None, (), ())
    assert answer.caveat is not None
    assert answer.caveat.code == "level_not_observed"
    check, _ = check_of({NODE: node_reply(levels=hostile)})
    assert (await answer_of(check)).caveat is None


@pytest.mark.parametrize(
    ("kind", "replies"),
    [("text", {TEXT: text_reply("缓存已加载。")}), ("inspire", {INSPIRE: inspire_reply("k1", "k2")})],
)
async def test_other_kinds_of_check_observe_no_level(kind: str, replies: Any) -> None:
    check, _ = check_of(replies, kind, workflows=(wanted(RAM),))
    answer = await answer_of(check)
    assert (answer.places, answer.needed) == (None, ())
    assert answer.caveat is not None


GRAPH = {
    "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a"}},
    "2": {"class_type": "CacheBackendData //Inspire", "inputs": {"key": "m", "tag": "t", "data": ["1", 0]}},
    "3": {"class_type": "CacheModel //comfywarm", "inputs": {"key": "v", "tag": "t", "data": ["1", 2]}},
    "4": {"class_type": "KSampler", "inputs": {"model": ["1", 0], "positive": ["1", 1], "steps": 1}, "_meta": {}},
    "comfywarm-load-1": {"class_type": "PreviewImage", "inputs": {"images": ["4", 0]}},
}


def test_load_nodes_are_between_loader_and_all_its_users() -> None:
    workflow = parse_workflow("w", json.dumps(GRAPH).encode())
    graph = with_load_nodes(workflow.graph, workflow, VRAM)
    assert json.loads(json.dumps(GRAPH)) == workflow.graph
    assert {node_id: node for node_id, node in graph.items() if node_id not in GRAPH} == {
        "comfywarm-load-2": {"class_type": "LoadModel //comfywarm", "inputs": {"data": ["1", 0], "warm": "vram"}},
        "comfywarm-load-3": {"class_type": "LoadModel //comfywarm", "inputs": {"data": ["1", 2], "warm": "vram"}},
    }
    assert load_node_count(workflow) == 2
    assert graph["2"]["inputs"]["data"] == graph["4"]["inputs"]["model"] == ["comfywarm-load-2", 0]
    assert graph["3"]["inputs"]["data"] == ["comfywarm-load-3", 0]
    assert graph["4"]["inputs"]["positive"] == ["1", 1]
    assert graph["1"] == GRAPH["1"]


def test_load_nodes_and_varied_tag_work_together() -> None:
    workflow = parse_workflow("w", json.dumps(GRAPH).encode())
    graph = with_load_nodes(with_varied_tag(workflow, "s"), workflow, RAM)
    assert graph["2"]["inputs"] == {"key": "m", "tag": "t#s", "data": ["comfywarm-load-2", 0]}
