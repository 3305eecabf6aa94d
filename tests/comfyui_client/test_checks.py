"""The cache checks: which kind is asked, what it finds, and what it does with answers that say nothing."""

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
    Said,
    history_entry,
    json_reply,
    marker_of,
    queue_entry,
    ran,
    text_reply,
    workflow,
)

TEXT, INSPIRE, HISTORY = "/cache/check", "/inspire/cache/list", "/history?max_items=2"
NODE = f"{TEXT}?key=k1&key=k2"
"""How the path is asked where a companion node may be there."""
A, B = workflow("a", "k1", "k2"), workflow("b", "k3")
KEYLESS = workflow("plain")
LOADED = text_reply("缓存已加载。")
EMPTY_LIST = "---- [String Key Caches] ----\n"
ITSELF = "，已经自动在后台执行缓存模型工作流。"


def said_by_node(*missing: str, present: Sequence[str] = ("k1", "k2"), **more: object) -> Reply:
    """By instance i1 at change 17, unless `more` says otherwise."""
    said = {"comfywarm": 1, "instance": "i1", "sequence": 17, "loading": False, "auto_started": False}
    keys = {"present": [key for key in present if key not in missing], "missing": list(missing)}
    return json_reply({**said, "keys": keys, "held": {"vram": [], "ram": []}, **more})


def check_of(
    said: dict[str, Said | list[Said]], kind: str = "auto", workflows: tuple[Workflow, ...] = (A,)
) -> tuple[CacheCheck, FakeTransport]:
    transport = FakeTransport(said)
    return CacheCheck(ComfyClient(transport), kinds_of(kind), TEXT, workflows), transport


async def answered(check: CacheCheck, epoch: int = 0) -> e.CheckAnswered:
    event = (await check.ask(epoch)).event
    assert isinstance(event, e.CheckAnswered), event
    return event


async def unusable(check: CacheCheck) -> tuple[Reason, CheckResult]:
    result = await check.ask(0)
    assert isinstance(result.event, e.CheckUnusable), result.event
    return result.event.reason, result


# Which kind is asked.


@pytest.mark.parametrize(
    ("said", "kind", "asked"),
    [
        ({TEXT: LOADED}, "text", [NODE]),
        ({TEXT: said_by_node()}, "node", [NODE]),
        ({INSPIRE: text_reply(EMPTY_LIST)}, "inspire", [NODE, INSPIRE]),
        ({HISTORY: json_reply({})}, "history", [NODE, INSPIRE, HISTORY]),
    ],
)
async def test_auto_asks_in_order_and_remembers_what_it_found(
    said: dict[str, Said | list[Said]], kind: str, asked: list[str]
) -> None:
    check, transport = check_of(said)
    assert (await answered(check)).kind == kind
    assert transport.asked == asked
    assert (await answered(check)).kind == kind
    assert transport.asked == [*asked, asked[-1]]


async def test_auto_finds_out_again_once_told_to_forget() -> None:
    check, transport = check_of({INSPIRE: text_reply(EMPTY_LIST)})
    await answered(check)
    transport.said[TEXT] = LOADED
    assert (await answered(check)).kind == "inspire"
    check.forget()
    assert (await answered(check)).kind == "text"


async def test_auto_finds_out_again_after_what_it_knew_has_gone() -> None:
    check, transport = check_of({TEXT: LOADED, HISTORY: json_reply({})})
    await answered(check)
    transport.said[TEXT] = NOT_FOUND
    await check.ask(0)
    assert (await answered(check)).kind == "history"


@pytest.mark.parametrize(("kind", "path"), [("node", NODE), ("text", TEXT), ("inspire", INSPIRE), ("history", HISTORY)])
async def test_a_configured_kind_that_is_not_there_is_absent_and_no_other_is_tried(kind: str, path: str) -> None:
    offered: dict[str, Said | list[Said]] = {TEXT: LOADED, INSPIRE: text_reply(EMPTY_LIST), HISTORY: json_reply({})}
    check, transport = check_of({**offered, path: NOT_FOUND}, kind)
    assert (await unusable(check))[0] is Reason.CHECK_ABSENT
    assert transport.asked == [path]


async def test_a_server_without_any_route_is_absent() -> None:
    assert (await unusable(check_of({})[0]))[0] is Reason.CHECK_ABSENT


# Answers that say nothing.


@pytest.mark.parametrize("kind", ["auto", "node", "text"])
@pytest.mark.parametrize("denial", [text_reply("", 401), text_reply("", 403), text_reply("", 302, "/login")])
async def test_denied_is_neither_absent_nor_cold(kind: str, denial: Reply) -> None:
    check, transport = check_of({TEXT: denial, HISTORY: json_reply({})}, kind)
    assert (await unusable(check))[0] is Reason.ACCESS_DENIED
    assert transport.asked == [TEXT if kind == "text" else NODE]


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
async def test_what_is_not_understood_is_never_cold_and_keeps_its_text(reply: Reply) -> None:
    reason, result = await unusable(check_of({TEXT: reply})[0])
    assert reason is Reason.CHECK_UNRECOGNISED
    assert result.raw == reply.text


@pytest.mark.parametrize(
    "reply", [text_reply("oops", 500), text_reply("oops"), text_reply(f"未查询到缓存k1{ITSELF}"), NOT_FOUND, LOADED]
)
async def test_the_path_is_asked_once_whatever_it_answers(reply: Reply) -> None:
    """Each call may start the server's workflow."""
    check, transport = check_of({TEXT: reply})
    await check.ask(0)
    assert [path for path in transport.asked if path.startswith(TEXT)] == [NODE]


@pytest.mark.parametrize("said", [NotAnsweringError("timed out"), text_reply("Bad Gateway", 502)])
async def test_no_answer_is_no_verdict(said: Said) -> None:
    check, _ = check_of({TEXT: said})
    with pytest.raises(NotAnsweringError):
        await check.ask(0)


# Text.


async def test_text_names_the_workflows_that_hold_the_missing_keys() -> None:
    check, _ = check_of({TEXT: text_reply("未查询到缓存k3")}, workflows=(A, B))
    event = await answered(check, epoch=7)
    assert event == e.CheckAnswered("text", ("k3",), ("b",), auto_executing=False, epoch=7)


@pytest.mark.parametrize("text", ["未查询到缓存unheard_of", "未查询到缓存。"])
async def test_text_that_names_no_key_of_ours_needs_every_workflow(text: str) -> None:
    check, _ = check_of({TEXT: text_reply(text)}, workflows=(A, B))
    assert (await answered(check)).needed == ("a", "b")


async def test_text_says_whether_the_server_loads_by_itself_and_keeps_its_words() -> None:
    text = f"未查询到缓存k1,k2{ITSELF}"
    check, _ = check_of({TEXT: text_reply(text)})
    result = await check.ask(3)
    assert result == CheckResult(e.CheckAnswered("text", ("k1", "k2"), ("a",), auto_executing=True, epoch=3), text)


async def test_text_speaks_also_for_workflows_without_keys() -> None:
    check, _ = check_of({TEXT: LOADED}, workflows=(KEYLESS,))
    assert (await answered(check)).needed == ()


# The companion node.


async def test_node_is_asked_for_every_key_as_json_and_says_how_far_it_has_told() -> None:
    check, transport = check_of({TEXT: said_by_node("k2", present=("k1", "k3"))}, workflows=(A, B))
    node_cursor = e.NodeCursor("i1", 17, ("k1", "k2", "k3"))
    assert await answered(check, epoch=7) == e.CheckAnswered("node", ("k2",), ("a",), False, 7, node_cursor)
    assert transport.asked == [f"{NODE}&key=k3"]
    assert transport.accepted == ["application/json"]


@pytest.mark.parametrize("kind", ["auto", "node"])
@pytest.mark.parametrize("member", ["loading", "auto_started"])
async def test_node_says_whether_the_server_loads_what_is_missing(kind: str, member: str) -> None:
    check, _ = check_of({TEXT: said_by_node("k1", "k2", present=(), **{member: True})}, kind)
    assert (await answered(check)).auto_executing
    check, _ = check_of({TEXT: said_by_node(present=("k1", "k2"), **{member: True})}, kind)
    assert not (await answered(check)).auto_executing


async def test_node_leaves_workflows_without_keys_to_history() -> None:
    said: dict[str, Said | list[Said]] = {TEXT: said_by_node(), "/history?max_items=4": json_reply({})}
    check, transport = check_of(said, "node", (A, KEYLESS))
    assert (await answered(check)).needed == ("plain",)
    transport.said["/history?max_items=4"] = json_reply(ran(KEYLESS, "p"))
    assert (await answered(check)).needed == ()


async def test_node_is_only_peeked_at_where_no_workflow_has_keys() -> None:
    """Without keys it would be asked for those of its own files, and might start to load them."""
    check, transport = check_of({TEXT: said_by_node(), HISTORY: json_reply(ran(KEYLESS, "p"))}, workflows=(KEYLESS,))
    event = await answered(check)
    assert (event.kind, event.needed, event.node_cursor) == ("node", (), e.NodeCursor("i1", 17, ()))
    assert transport.asked == [f"{TEXT}?peek=1", HISTORY]


async def test_node_is_asked_in_portions_that_a_request_can_hold() -> None:
    many = workflow("many", *[f"k{number}" for number in range(120)])
    check, transport = check_of({}, "node", (many,))
    first, second, third = many.keys[:50], many.keys[50:100], many.keys[100:]
    transport.said[TEXT] = [
        said_by_node("k3", present=first, sequence=4),
        said_by_node("k70", present=second, sequence=5),
        said_by_node(present=third, sequence=6),
    ]
    event = await answered(check)
    assert event.missing == ("k3", "k70")
    assert event.node_cursor is not None
    assert event.node_cursor.sequence == 4
    assert [path.count("key=") for path in transport.asked] == [50, 50, 20]


async def test_node_that_is_restarted_between_two_portions_is_not_understood() -> None:
    many = workflow("many", *[f"k{number}" for number in range(60)])
    check, _ = check_of({TEXT: [said_by_node(), said_by_node(instance="i2")]}, "node", (many,))
    assert (await unusable(check))[0] is Reason.CHECK_UNRECOGNISED


async def test_node_finds_keys_whatever_characters_they_have() -> None:
    odd = workflow("odd", "a b&key=c", "键，#%41+/")
    check, transport = check_of({TEXT: said_by_node("键，#%41+/", present=("a b&key=c",))}, workflows=(odd,))
    assert (await answered(check)).missing == ("键，#%41+/",)
    assert parse_qsl(transport.asked[0].partition("?")[2]) == [("key", "a b&key=c"), ("key", "键，#%41+/")]


@pytest.mark.parametrize(
    "reply",
    [
        said_by_node("k1", present=()),
        said_by_node(present=("k2", "k3")),
        said_by_node(comfywarm=2),
        said_by_node(instance=""),
        said_by_node(sequence="17"),
        said_by_node(loading=None),
        said_by_node(keys={"missing": [3]}),
        said_by_node(keys=None),
        text_reply(said_by_node("k1").text[:40]),
        text_reply('{"error": "no workflow"}', 400),
    ],
)
@pytest.mark.parametrize("kind", ["auto", "node"])
async def test_a_node_that_is_not_understood_is_not_cold_and_nothing_else_is_asked(kind: str, reply: Reply) -> None:
    check, transport = check_of({TEXT: reply, INSPIRE: listed()}, kind)
    reason, result = await unusable(check)
    assert (reason, result.raw) == (Reason.CHECK_UNRECOGNISED, reply.text)
    assert transport.asked == [NODE]


async def test_words_are_no_node_where_only_a_node_will_do() -> None:
    check, transport = check_of({TEXT: LOADED}, "node")
    assert (await unusable(check))[0] is Reason.CHECK_ABSENT
    assert transport.asked == [NODE]


async def test_a_node_that_has_come_meanwhile_is_found_and_one_that_has_gone_is_not_missed() -> None:
    check, _ = check_of({TEXT: [LOADED, said_by_node(), LOADED]})
    assert [(await answered(check)).kind for _ in range(3)] == ["text", "node", "text"]


async def test_the_instance_can_be_asked_for_alone() -> None:
    check, transport = check_of({TEXT: [said_by_node(instance="i2"), LOADED, NOT_FOUND]})
    assert [await check.instance(), await check.instance()] == ["i2", None]
    with pytest.raises(AbsentError):
        await check.instance()
    assert set(transport.asked) == {f"{TEXT}?peek=1"}


# Inspire.


def listed(*keys: str) -> Reply:
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
async def test_inspire_compares_the_list_with_the_workflows(
    keys: tuple[str, ...], missing: tuple[str, ...], needed: tuple[str, ...]
) -> None:
    check, _ = check_of({INSPIRE: listed(*keys)}, "inspire", (A, B))
    event = await answered(check)
    assert (event.missing, event.needed, event.auto_executing) == (missing, needed, False)


@pytest.mark.looptime
async def test_inspire_may_fail_twice_while_its_list_changes() -> None:
    broken = text_reply("500 Internal Server Error", 500)
    check, transport = check_of({INSPIRE: [broken, broken, listed("k1", "k2")]}, "inspire")
    assert (await answered(check)).needed == ()
    assert transport.asked == [INSPIRE] * 3


@pytest.mark.looptime
async def test_inspire_that_goes_on_failing_is_not_understood() -> None:
    check, transport = check_of({INSPIRE: text_reply("500 Internal Server Error", 500)}, "inspire")
    assert (await unusable(check))[0] is Reason.CHECK_UNRECOGNISED
    assert transport.asked == [INSPIRE] * 3


async def test_inspire_leaves_workflows_without_keys_to_history() -> None:
    said: dict[str, Said | list[Said]] = {INSPIRE: listed("k1", "k2"), "/history?max_items=4": json_reply({})}
    check, transport = check_of(said, "inspire", (A, KEYLESS))
    assert (await answered(check)).needed == ("plain",)
    transport.said["/history?max_items=4"] = json_reply(ran(KEYLESS, "p"))
    assert (await answered(check)).needed == ()


# History.

OUT_OF_MEMORY = ["execution_error", {"exception_type": "torch.OutOfMemoryError", "exception_message": ""}]
RAISED = ["execution_error", {"exception_type": "ValueError", "exception_message": "wrong"}]
FOREIGN = {"x": history_entry(queue_entry("x"))}


async def needed_after(*runs: dict[str, Any], workflows: tuple[Workflow, ...] = (A,)) -> tuple[str, ...]:
    """What the history check needs where these runs stand in history, oldest first."""
    history = json_reply({key: value for run in runs for key, value in run.items()})
    check, _ = check_of({f"/history?max_items={2 * len(workflows)}": history}, "history", workflows)
    return (await answered(check)).needed


async def test_history_believes_a_success_with_nothing_foreign_after_it() -> None:
    assert await needed_after(ran(A, "p")) == ()
    assert await needed_after(FOREIGN, ran(A, "p")) == ()
    assert await needed_after(ran(A, "p"), FOREIGN) == ("a",)


async def test_history_that_is_empty_means_a_restart_or_a_first_time() -> None:
    check, _ = check_of({HISTORY: json_reply({})}, "history")
    assert await answered(check) == e.CheckAnswered("history", ("k1", "k2"), ("a",), auto_executing=False, epoch=0)


async def test_history_of_another_graph_of_the_same_name_proves_nothing() -> None:
    assert await needed_after(ran(workflow("a", "k1", "k2", seed=9), "p")) == ("a",)


async def test_history_of_one_workflow_says_nothing_of_another() -> None:
    assert await needed_after(ran(A, "p"), workflows=(A, B)) == ("b",)
    assert await needed_after(ran(A, "p"), ran(B, "q"), workflows=(A, B)) == ()


async def test_history_of_a_failure_is_no_success() -> None:
    assert await needed_after(ran(A, "p", "error", RAISED)) == ("a",)


async def test_history_before_our_own_failure_stands_unless_it_ran_out_of_memory() -> None:
    assert await needed_after(ran(B, "q"), ran(A, "p", "error", RAISED), workflows=(A, B)) == ("a",)
    assert await needed_after(ran(B, "q"), ran(A, "p", "error", OUT_OF_MEMORY), workflows=(A, B)) == ("a", "b")


async def test_history_of_a_half_refused_prompt_proves_nothing() -> None:
    prompt = queue_entry("p", A.graph, marker_of(A, "p"))
    assert await needed_after({"p": history_entry([*prompt[:4], ["20"]])}) == ("a",)


async def test_history_of_a_distrusted_prompt_proves_nothing() -> None:
    check, _ = check_of({HISTORY: json_reply(ran(KEYLESS, "p"))}, "history", (KEYLESS,))
    assert (await answered(check)).needed == ()
    check.distrust("p")
    assert (await answered(check)).needed == ("plain",)


async def test_history_that_is_not_understood_is_not_cold() -> None:
    assert (await unusable(check_of({HISTORY: json_reply({"p": {}})}, "history")[0]))[0] is Reason.CHECK_UNRECOGNISED
    denied = text_reply(orjson.dumps({"error": "login"}).decode(), 401)
    assert (await unusable(check_of({HISTORY: denied}, "history")[0]))[0] is Reason.ACCESS_DENIED


async def test_history_is_asked_for_few_entries_only() -> None:
    check, transport = check_of({}, "history", (A, B, KEYLESS))
    await check.ask(0)
    assert transport.asked == ["/history?max_items=6"]
