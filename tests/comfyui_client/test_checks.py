"""The cache checks: which kind is asked, what it finds, and what it does with answers that say nothing."""

from typing import Any

import orjson
import pytest

from statemachine.comfyui.checks import CacheCheck, CheckResult
from statemachine.comfyui.client import ComfyClient
from statemachine.comfyui.errors import NotAnsweringError
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
A, B = workflow("a", "k1", "k2"), workflow("b", "k3")
KEYLESS = workflow("plain")
LOADED = text_reply("缓存已加载。")
EMPTY_LIST = "---- [String Key Caches] ----\n"
ITSELF = "，已经自动在后台执行缓存模型工作流。"


def check_of(
    said: dict[str, Said | list[Said]], kind: str = "auto", workflows: tuple[Workflow, ...] = (A,)
) -> tuple[CacheCheck, FakeTransport]:
    transport = FakeTransport(said)
    return CacheCheck(ComfyClient(transport), kind, TEXT, workflows), transport


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
        ({TEXT: LOADED}, "text", [TEXT]),
        ({INSPIRE: text_reply(EMPTY_LIST)}, "inspire", [TEXT, INSPIRE]),
        ({HISTORY: json_reply({})}, "history", [TEXT, INSPIRE, HISTORY]),
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


@pytest.mark.parametrize(("kind", "path"), [("text", TEXT), ("inspire", INSPIRE), ("history", HISTORY)])
async def test_a_configured_kind_that_is_not_there_is_absent_and_no_other_is_tried(kind: str, path: str) -> None:
    offered: dict[str, Said | list[Said]] = {TEXT: LOADED, INSPIRE: text_reply(EMPTY_LIST), HISTORY: json_reply({})}
    check, transport = check_of({**offered, path: NOT_FOUND}, kind)
    assert (await unusable(check))[0] is Reason.CHECK_ABSENT
    assert transport.asked == [path]


async def test_a_server_without_any_route_is_absent() -> None:
    assert (await unusable(check_of({})[0]))[0] is Reason.CHECK_ABSENT


# Answers that say nothing.


@pytest.mark.parametrize("kind", ["auto", "text"])
@pytest.mark.parametrize("denial", [text_reply("", 401), text_reply("", 403), text_reply("", 302, "/login")])
async def test_denied_is_neither_absent_nor_cold(kind: str, denial: Reply) -> None:
    check, transport = check_of({TEXT: denial, HISTORY: json_reply({})}, kind)
    assert (await unusable(check))[0] is Reason.ACCESS_DENIED
    assert transport.asked == [TEXT]


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


async def test_the_text_check_is_asked_once_whatever_it_answers() -> None:
    """Each call may start the server's workflow."""
    check, transport = check_of({TEXT: text_reply("oops", 500)})
    await unusable(check)
    assert transport.asked == [TEXT]


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
