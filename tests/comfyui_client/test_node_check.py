"""The check of the companion node: which keys are asked for, and what its answers mean."""

from typing import Any
from urllib.parse import parse_qsl

import pytest

from statemachine.comfyui.errors import AbsentError
from statemachine.comfyui.node_answers import NO_REPORT, Activity, WorkerReport
from statemachine.comfyui.transport import Reply
from statemachine.core import events as e
from statemachine.core.vocabulary import Reason
from tests.comfyui_client.check_builders import (
    HISTORY,
    INSPIRE,
    KEYLESS,
    LOADED,
    NODE,
    TEXT,
    A,
    B,
    answer_of,
    check_of,
    inspire_reply,
    node_reply,
    unusable_answer_of,
)
from tests.comfyui_client.fakes import NOT_FOUND, Replies, history_of, json_reply, text_reply, workflow


async def test_node_answers_for_every_key_with_cursor() -> None:
    check, transport = check_of({TEXT: node_reply("k2", present=("k1", "k3"))}, workflows=(A, B))
    node_cursor = e.NodeCursor("i1", 17, ("k1", "k2", "k3"))
    assert await answer_of(check, epoch=7) == e.CheckAnswered("node", ("k2",), ("a",), False, 7, node_cursor)
    assert transport.requests == [f"{NODE}&key=k3"]
    assert transport.accept_headers == ["application/json"]


@pytest.mark.parametrize("kind", ["auto", "node"])
@pytest.mark.parametrize("member", ["loading", "auto_started"])
async def test_node_loading_missing_keys_is_auto_executing(kind: str, member: str) -> None:
    check, _ = check_of({TEXT: node_reply("k1", "k2", present=(), **{member: True})}, kind)
    assert (await answer_of(check)).auto_executing
    check, _ = check_of({TEXT: node_reply(present=("k1", "k2"), **{member: True})}, kind)
    assert not (await answer_of(check)).auto_executing


@pytest.mark.parametrize(
    ("more", "report"),
    [
        ({}, NO_REPORT),
        ({"worker_alive": True, "activity": {"cpu_s": 2, "step": "7:1/2"}}, WorkerReport(True, Activity(2.0, "7:1/2"))),
        ({"worker_alive": None, "activity": {"cpu_s": None, "step": ""}}, NO_REPORT),
        ({"worker_alive": 0, "activity": {"cpu_s": True, "step": None}}, NO_REPORT),
        ({"worker_alive": False, "activity": [1]}, WorkerReport(False)),
        ({"activity": {"cpu_s": "1"}}, NO_REPORT),
    ],
)
async def test_node_report_of_the_worker_is_read(more: dict[str, Any], report: WorkerReport) -> None:
    check, _ = check_of({f"{TEXT}?peek=1": node_reply(**more)})
    assert await check.worker() == report


async def test_node_workflow_without_keys_uses_history() -> None:
    replies: Replies = {TEXT: node_reply(), "/history?max_items=4": json_reply({})}
    check, transport = check_of(replies, "node", (A, KEYLESS))
    assert (await answer_of(check)).needed == ("plain",)
    transport.replies["/history?max_items=4"] = json_reply(history_of(KEYLESS, "p"))
    assert (await answer_of(check)).needed == ()


async def test_node_without_any_keys_is_peeked() -> None:
    """A request without keys would check those of the node's own files and might start to load them."""
    check, transport = check_of(
        {TEXT: node_reply(), HISTORY: json_reply(history_of(KEYLESS, "p"))}, workflows=(KEYLESS,)
    )
    event = await answer_of(check)
    assert (event.kind, event.needed, event.node_cursor) == ("node", (), e.NodeCursor("i1", 17, ()))
    assert transport.requests == [f"{TEXT}?peek=1", HISTORY, "/system_stats"]


async def test_node_many_keys_are_split_into_requests() -> None:
    many = workflow("many", *[f"k{number}" for number in range(120)])
    check, transport = check_of({}, "node", (many,))
    first, second, third = many.keys[:50], many.keys[50:100], many.keys[100:]
    transport.replies[TEXT] = [
        node_reply("k3", present=first, sequence=4),
        node_reply("k70", present=second, sequence=5),
        node_reply(present=third, sequence=6),
    ]
    event = await answer_of(check)
    assert event.missing == ("k3", "k70")
    assert event.node_cursor is not None
    assert event.node_cursor.sequence == 4
    assert [path.count("key=") for path in transport.requests] == [50, 50, 20]


async def test_node_restarted_between_requests_is_unrecognised() -> None:
    many = workflow("many", *[f"k{number}" for number in range(60)])
    check, _ = check_of({TEXT: [node_reply(), node_reply(instance="i2")]}, "node", (many,))
    assert (await unusable_answer_of(check))[0] is Reason.CHECK_UNRECOGNISED


async def test_node_keys_with_special_characters_are_quoted() -> None:
    odd = workflow("odd", "a b&key=c", "键，#%41+/")
    check, transport = check_of({TEXT: node_reply("键，#%41+/", present=("a b&key=c",))}, workflows=(odd,))
    assert (await answer_of(check)).missing == ("键，#%41+/",)
    assert parse_qsl(transport.requests[0].partition("?")[2]) == [("key", "a b&key=c"), ("key", "键，#%41+/")]


@pytest.mark.parametrize(
    "reply",
    [
        node_reply("k1", present=()),
        node_reply(present=("k2", "k3")),
        node_reply(comfywarm=2),
        node_reply(instance=""),
        node_reply(sequence="17"),
        node_reply(loading=None),
        node_reply(keys={"missing": [3]}),
        node_reply(keys=None),
        text_reply(node_reply("k1").text[:40]),
        text_reply('{"error": "no workflow"}', 400),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "node"])
async def test_node_unknown_answer_is_unrecognised(kind: str, reply: Reply) -> None:
    check, transport = check_of({TEXT: reply, INSPIRE: inspire_reply()}, kind)
    reason, result = await unusable_answer_of(check)
    assert (reason, result.raw) == (Reason.CHECK_UNRECOGNISED, reply.text)
    assert transport.requests == [NODE]


async def test_node_configured_text_answer_is_absent() -> None:
    check, transport = check_of({TEXT: LOADED}, "node")
    assert (await unusable_answer_of(check))[0] is Reason.CHECK_ABSENT
    assert transport.requests == [NODE, "/prompt"]


async def test_check_auto_follows_change_between_text_and_node() -> None:
    check, _ = check_of({TEXT: [LOADED, node_reply(), LOADED]})
    assert [(await answer_of(check)).kind for _ in range(3)] == ["text", "node", "text"]


async def test_instance_is_read_without_keys() -> None:
    check, transport = check_of({TEXT: [node_reply(instance="i2"), LOADED, NOT_FOUND]})
    assert [await check.instance(), await check.instance()] == ["i2", None]
    with pytest.raises(AbsentError):
        await check.instance()
    assert set(transport.requests) == {f"{TEXT}?peek=1"}
