"""The cache checks: which kind is used, what it finds, and how it treats unusable answers."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest

from statemachine.comfyui.checks import CacheCheck, CheckResult, kinds_of
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import AbsentError, NotAnsweringError
from statemachine.comfyui.transport import Reply
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events as e
from statemachine.core.vocabulary import Reason
from tests.comfyui_client.fakes import (
    NOT_FOUND,
    FakeTransport,
    Replies,
    Scripted,
    history_entry,
    history_of,
    json_reply,
    marker_of,
    queue_entry,
    text_reply,
    workflow,
)

TEXT, INSPIRE, HISTORY = "/cache/check", "/inspire/cache/list", "/history?max_items=2"
NODE = f"{TEXT}?key=k1&key=k2"
"""The request if the check may be the companion node's."""
A, B = workflow("a", "k1", "k2"), workflow("b", "k3")
KEYLESS = workflow("plain")
LOADED = text_reply("缓存已加载。")
EMPTY_LIST = "---- [String Key Caches] ----\n"
AUTO_STARTED = "，已经自动在后台执行缓存模型工作流。"


def node_reply(*missing: str, present: Sequence[str] = ("k1", "k2"), **more: object) -> Reply:
    """Return the companion node's answer of instance i1 at sequence 17; `more` overrides its members."""
    answer = {"comfywarm": 1, "instance": "i1", "sequence": 17, "loading": False, "auto_started": False}
    keys = {"present": [key for key in present if key not in missing], "missing": list(missing)}
    return json_reply({**answer, "keys": keys, "held": {"vram": [], "ram": []}, **more})


def check_of(
    replies: Replies, kind: str = "auto", workflows: tuple[Workflow, ...] = (A,)
) -> tuple[CacheCheck, FakeTransport]:
    transport = FakeTransport(replies)
    return CacheCheck(ComfyClient(transport), kinds_of(kind), TEXT, workflows), transport


async def answer_of(check: CacheCheck, epoch: int = 0) -> e.CheckAnswered:
    event = (await check.ask(epoch)).event
    assert isinstance(event, e.CheckAnswered), event
    return event


async def unusable_answer_of(check: CacheCheck) -> tuple[Reason, CheckResult]:
    result = await check.ask(0)
    assert isinstance(result.event, e.CheckUnusable), result.event
    return result.event.reason, result


# Which kind is used.


@pytest.mark.parametrize(
    ("replies", "kind", "requests"),
    [
        ({TEXT: LOADED}, "text", [NODE]),
        ({TEXT: node_reply()}, "node", [NODE]),
        ({INSPIRE: text_reply(EMPTY_LIST)}, "inspire", [NODE, INSPIRE]),
        ({HISTORY: json_reply({})}, "history", [NODE, INSPIRE, HISTORY]),
    ],
)
async def test_check_auto_tries_kinds_in_order_and_keeps_the_first(
    replies: Replies, kind: str, requests: list[str]
) -> None:
    check, transport = check_of(replies)
    assert (await answer_of(check)).kind == kind
    assert transport.requests == requests
    assert (await answer_of(check)).kind == kind
    assert transport.requests == [*requests, requests[-1]]


async def test_check_auto_after_forget_tries_all_kinds() -> None:
    check, transport = check_of({INSPIRE: text_reply(EMPTY_LIST)})
    await answer_of(check)
    transport.replies[TEXT] = LOADED
    assert (await answer_of(check)).kind == "inspire"
    check.forget()
    assert (await answer_of(check)).kind == "text"


async def test_check_auto_after_lost_kind_tries_the_others() -> None:
    check, transport = check_of({TEXT: LOADED, HISTORY: json_reply({})})
    await answer_of(check)
    transport.replies[TEXT] = NOT_FOUND
    await check.ask(0)
    assert (await answer_of(check)).kind == "history"


@pytest.mark.parametrize(("kind", "path"), [("node", NODE), ("text", TEXT), ("inspire", INSPIRE), ("history", HISTORY)])
async def test_check_configured_kind_missing_is_absent(kind: str, path: str) -> None:
    offered: Replies = {TEXT: LOADED, INSPIRE: text_reply(EMPTY_LIST), HISTORY: json_reply({})}
    check, transport = check_of({**offered, path: NOT_FOUND}, kind)
    assert (await unusable_answer_of(check))[0] is Reason.CHECK_ABSENT
    assert transport.requests == [path]


async def test_check_server_without_routes_is_absent() -> None:
    assert (await unusable_answer_of(check_of({})[0]))[0] is Reason.CHECK_ABSENT


# Unusable answers.


@pytest.mark.parametrize("kind", ["auto", "node", "text"])
@pytest.mark.parametrize("denial", [text_reply("", 401), text_reply("", 403), text_reply("", 302, "/login")])
async def test_check_denied_is_access_denied(kind: str, denial: Reply) -> None:
    check, transport = check_of({TEXT: denial, HISTORY: json_reply({})}, kind)
    assert (await unusable_answer_of(check))[0] is Reason.ACCESS_DENIED
    assert transport.requests == [TEXT if kind == "text" else NODE]


@pytest.mark.parametrize(
    "reply",
    [
        text_reply("{}"),
        text_reply("all good"),
        text_reply("<html>"),
        text_reply("oops", 500),
        text_reply("", 302, "/x"),
    ],
)
async def test_check_unknown_answer_is_unrecognised_with_raw(reply: Reply) -> None:
    reason, result = await unusable_answer_of(check_of({TEXT: reply})[0])
    assert reason is Reason.CHECK_UNRECOGNISED
    assert result.raw == reply.text


@pytest.mark.parametrize(
    "reply",
    [text_reply("oops", 500), text_reply("oops"), text_reply(f"未查询到缓存k1{AUTO_STARTED}"), NOT_FOUND, LOADED],
)
async def test_check_requests_path_once(reply: Reply) -> None:
    """Each request may start the server's own workflow."""
    check, transport = check_of({TEXT: reply})
    await check.ask(0)
    assert [path for path in transport.requests if path.startswith(TEXT)] == [NODE]


@pytest.mark.parametrize("reply", [NotAnsweringError("timed out"), text_reply("Bad Gateway", 502)])
async def test_check_without_answer_raises(reply: Scripted) -> None:
    check, _ = check_of({TEXT: reply})
    with pytest.raises(NotAnsweringError):
        await check.ask(0)


# Text.


async def test_text_missing_key_needs_its_workflow() -> None:
    check, _ = check_of({TEXT: text_reply("未查询到缓存k3")}, workflows=(A, B))
    event = await answer_of(check, epoch=7)
    assert event == e.CheckAnswered("text", ("k3",), ("b",), auto_executing=False, epoch=7)


@pytest.mark.parametrize("text", ["未查询到缓存unheard_of", "未查询到缓存。"])
async def test_text_without_known_key_needs_every_workflow(text: str) -> None:
    check, _ = check_of({TEXT: text_reply(text)}, workflows=(A, B))
    assert (await answer_of(check)).needed == ("a", "b")


async def test_text_auto_executing_is_reported_with_raw() -> None:
    text = f"未查询到缓存k1,k2{AUTO_STARTED}"
    check, _ = check_of({TEXT: text_reply(text)})
    result = await check.ask(3)
    assert result == CheckResult(e.CheckAnswered("text", ("k1", "k2"), ("a",), auto_executing=True, epoch=3), text)


async def test_text_loaded_covers_workflows_without_keys() -> None:
    check, _ = check_of({TEXT: LOADED}, workflows=(KEYLESS,))
    assert (await answer_of(check)).needed == ()


# The companion node.


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
    assert transport.requests == [f"{TEXT}?peek=1", HISTORY]


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
    assert transport.requests == [NODE]


async def test_check_auto_follows_change_between_text_and_node() -> None:
    check, _ = check_of({TEXT: [LOADED, node_reply(), LOADED]})
    assert [(await answer_of(check)).kind for _ in range(3)] == ["text", "node", "text"]


async def test_instance_is_read_without_keys() -> None:
    check, transport = check_of({TEXT: [node_reply(instance="i2"), LOADED, NOT_FOUND]})
    assert [await check.instance(), await check.instance()] == ["i2", None]
    with pytest.raises(AbsentError):
        await check.instance()
    assert set(transport.requests) == {f"{TEXT}?peek=1"}


# Inspire.


def inspire_reply(*keys: str) -> Reply:
    return text_reply(EMPTY_LIST + "".join(f"{key}: t\n" for key in keys))


@pytest.mark.parametrize(
    ("keys", "missing", "needed"),
    [
        (("k1", "k2", "k3"), (), ()),
        (("k1", "k3"), ("k2",), ("a",)),
        (("k1", "k2"), ("k3",), ("b",)),
        ((), ("k1", "k2", "k3"), ("a", "b")),
    ],
)
async def test_inspire_unlisted_keys_are_missing(
    keys: tuple[str, ...], missing: tuple[str, ...], needed: tuple[str, ...]
) -> None:
    check, _ = check_of({INSPIRE: inspire_reply(*keys)}, "inspire", (A, B))
    event = await answer_of(check)
    assert (event.missing, event.needed, event.auto_executing) == (missing, needed, False)


@pytest.mark.looptime
async def test_inspire_two_failures_are_retried() -> None:
    broken = text_reply("500 Internal Server Error", 500)
    check, transport = check_of({INSPIRE: [broken, broken, inspire_reply("k1", "k2")]}, "inspire")
    assert (await answer_of(check)).needed == ()
    assert transport.requests == [INSPIRE] * 3


@pytest.mark.looptime
async def test_inspire_repeated_failure_is_unrecognised() -> None:
    check, transport = check_of({INSPIRE: text_reply("500 Internal Server Error", 500)}, "inspire")
    assert (await unusable_answer_of(check))[0] is Reason.CHECK_UNRECOGNISED
    assert transport.requests == [INSPIRE] * 3


async def test_inspire_workflow_without_keys_uses_history() -> None:
    replies: Replies = {INSPIRE: inspire_reply("k1", "k2"), "/history?max_items=4": json_reply({})}
    check, transport = check_of(replies, "inspire", (A, KEYLESS))
    assert (await answer_of(check)).needed == ("plain",)
    transport.replies["/history?max_items=4"] = json_reply(history_of(KEYLESS, "p"))
    assert (await answer_of(check)).needed == ()


# History.

OUT_OF_MEMORY = ["execution_error", {"exception_type": "torch.OutOfMemoryError", "exception_message": ""}]
RAISED = ["execution_error", {"exception_type": "ValueError", "exception_message": "wrong"}]
FOREIGN = {"x": history_entry(queue_entry("x"))}


async def needed_after(*runs: dict[str, Any], workflows: tuple[Workflow, ...] = (A,)) -> tuple[str, ...]:
    """Return the workflows that the history check finds missing after these runs, oldest first."""
    history = json_reply({key: value for run in runs for key, value in run.items()})
    check, _ = check_of({f"/history?max_items={2 * len(workflows)}": history}, "history", workflows)
    return (await answer_of(check)).needed


async def test_history_success_counts_until_foreign_prompt() -> None:
    assert await needed_after(history_of(A, "p")) == ()
    assert await needed_after(FOREIGN, history_of(A, "p")) == ()
    assert await needed_after(history_of(A, "p"), FOREIGN) == ("a",)


async def test_history_empty_needs_every_workflow() -> None:
    check, _ = check_of({HISTORY: json_reply({})}, "history")
    assert await answer_of(check) == e.CheckAnswered("history", ("k1", "k2"), ("a",), auto_executing=False, epoch=0)


async def test_history_success_of_changed_graph_does_not_count() -> None:
    assert await needed_after(history_of(workflow("a", "k1", "k2", seed=9), "p")) == ("a",)


async def test_history_success_counts_for_its_workflow_only() -> None:
    assert await needed_after(history_of(A, "p"), workflows=(A, B)) == ("b",)
    assert await needed_after(history_of(A, "p"), history_of(B, "q"), workflows=(A, B)) == ()


async def test_history_failure_does_not_count() -> None:
    assert await needed_after(history_of(A, "p", "error", RAISED)) == ("a",)


async def test_history_success_before_out_of_memory_does_not_count() -> None:
    assert await needed_after(history_of(B, "q"), history_of(A, "p", "error", RAISED), workflows=(A, B)) == ("a",)
    assert await needed_after(history_of(B, "q"), history_of(A, "p", "error", OUT_OF_MEMORY), workflows=(A, B)) == (
        "a",
        "b",
    )


async def test_history_success_with_dropped_outputs_does_not_count() -> None:
    prompt = queue_entry("p", A.graph, marker_of(A, "p"))
    assert await needed_after({"p": history_entry([*prompt[:4], ["20"]])}) == ("a",)


async def test_history_success_of_excluded_prompt_does_not_count() -> None:
    check, _ = check_of({HISTORY: json_reply(history_of(KEYLESS, "p"))}, "history", (KEYLESS,))
    assert (await answer_of(check)).needed == ()
    check.exclude("p")
    assert (await answer_of(check)).needed == ("plain",)


async def test_history_unknown_answer_is_unrecognised() -> None:
    assert (await unusable_answer_of(check_of({HISTORY: json_reply({"p": {}})}, "history")[0]))[
        0
    ] is Reason.CHECK_UNRECOGNISED
    denied = text_reply(orjson.dumps({"error": "login"}).decode(), 401)
    assert (await unusable_answer_of(check_of({HISTORY: denied}, "history")[0]))[0] is Reason.ACCESS_DENIED


async def test_history_request_is_limited() -> None:
    check, transport = check_of({}, "history", (A, B, KEYLESS))
    await check.ask(0)
    assert transport.requests == ["/history?max_items=6"]
