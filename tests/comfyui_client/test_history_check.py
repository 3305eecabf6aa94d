"""The history check: which runs in a server's history count as loaded."""

import json
from typing import Any

import orjson
import pytest

from statemachine.comfyui.transport import Reply
from statemachine.comfyui.workflow import Workflow
from statemachine.core import events as e
from statemachine.core.vocabulary import Reason
from statemachine.i18n.render import sentence
from tests.comfyui_client.check_builders import (
    HISTORY,
    INSPIRE,
    KEYLESS,
    A,
    B,
    answer_of,
    check_of,
    inspire_reply,
    unusable_answer_of,
)
from tests.comfyui_client.fakes import (
    Scripted,
    history_entry,
    history_of,
    json_reply,
    marker_of,
    queue_entry,
    text_reply,
    workflow,
)

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


async def test_history_success_counts_though_the_server_replaced_nodes() -> None:
    replaced = {node: {**A.graph[node], "class_type": "New"} for node in A.graph}
    prompt = queue_entry("p", A.graph, marker_of(A, "p"))
    assert await needed_after({"p": history_entry([*prompt[:2], replaced, *prompt[3:]])}) == ()


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


UNREADABLE: dict[str, Any] = {"u": FOREIGN["x"] | {"status": None}}
"""An entry of another client, without the end."""


async def test_history_success_counts_until_foreign_entry_that_is_not_understood() -> None:
    assert await needed_after(UNREADABLE, history_of(A, "p")) == ()
    assert await needed_after(history_of(A, "p"), UNREADABLE) == ("a",)
    assert await needed_after(history_of(A, "p"), {"u": None}) == ("a",)
    assert await needed_after(UNREADABLE) == ("a",)


async def test_history_warm_up_that_is_not_understood_is_unrecognised() -> None:
    ours = {"q": history_of(A, "q")["q"] | {"status": None}}
    for runs in (ours, history_of(A, "p") | ours, history_of(B, "p") | ours):
        check, _ = check_of({HISTORY: json_reply(runs)}, "history")
        assert (await unusable_answer_of(check))[0] is Reason.CHECK_UNRECOGNISED


async def test_history_numbers_of_python_do_not_matter() -> None:
    graph = {"1": {"class_type": "Noise", "inputs": {"max": float("inf"), "text": "\ud800"}}}
    answer = history_of(A, "p") | {"x": history_entry(queue_entry("x", graph))}
    check, _ = check_of({HISTORY: Reply(200, json.dumps(answer).encode())}, "history", (A,))
    assert (await answer_of(check)).needed == ("a",)


async def test_history_unknown_answer_is_unrecognised() -> None:
    assert (await unusable_answer_of(check_of({HISTORY: json_reply({"p": {}})}, "history")[0]))[
        0
    ] is Reason.CHECK_UNRECOGNISED
    denied = text_reply(orjson.dumps({"error": "login"}).decode(), 401)
    assert (await unusable_answer_of(check_of({HISTORY: denied}, "history")[0]))[0] is Reason.ACCESS_DENIED


async def test_history_request_is_limited() -> None:
    check, transport = check_of({"/history": json_reply({})}, "history", (A, B, KEYLESS))
    await check.ask(0)
    assert transport.requests[0] == "/history?max_items=6"


# Servers that keep nothing.


def stats(*arguments: str, version: str = "0.33.0") -> Reply:
    return json_reply({"system": {"comfyui_version": version, "argv": ["main.py", *arguments]}})


async def test_history_on_server_that_keeps_nothing_is_cache_disabled() -> None:
    """The success is there, but the next prompt would load again; before it, no warm-up could help."""
    for history in ({}, history_of(A, "p")):
        replies: dict[str, Scripted | list[Scripted]] = {
            HISTORY: json_reply(history),
            "/system_stats": stats("--cache-none"),
        }
        event = (await check_of(replies, "history", (A,))[0].ask(0)).event
        assert isinstance(event, e.CheckUnusable)
        assert event.reason is Reason.CACHE_DISABLED
        assert "so a cannot stay loaded" in sentence(event.message)


async def test_history_cache_mode_is_asked_again_after_restart() -> None:
    replies: dict[str, Scripted | list[Scripted]] = {HISTORY: json_reply(history_of(A, "p")), "/system_stats": stats()}
    check, transport = check_of(replies, "history", (A,))
    assert (await answer_of(check)).needed == ()
    transport.replies["/system_stats"] = stats("--cache-none")
    assert (await answer_of(check)).needed == ()
    check.forget_cache_mode()
    assert (await unusable_answer_of(check))[0] is Reason.CACHE_DISABLED
    transport.replies["/system_stats"] = stats()
    assert (await answer_of(check)).needed == ()


async def test_history_cache_mode_forgotten_while_it_is_asked_is_asked_again() -> None:
    check, transport = check_of({HISTORY: json_reply(history_of(A, "p"))}, "history", (A,))

    def restarted() -> Reply:
        check.forget_cache_mode()
        return stats()

    transport.replies["/system_stats"] = restarted
    assert (await answer_of(check)).needed == ()
    transport.replies["/system_stats"] = stats("--cache-none")
    assert (await unusable_answer_of(check))[0] is Reason.CACHE_DISABLED


@pytest.mark.parametrize("reply", [text_reply("", 404), text_reply("", 403), text_reply("<html>"), json_reply({})])
async def test_history_with_unknown_cache_mode_counts(reply: Reply) -> None:
    check, _ = check_of({HISTORY: json_reply(history_of(A, "p")), "/system_stats": reply}, "history", (A,))
    event = await answer_of(check)
    assert (event.needed, event.caveat) == ((), None)


async def test_keys_count_on_server_that_keeps_nothing() -> None:
    """A plug-in holds the models of its keys itself."""
    replies = {INSPIRE: inspire_reply("k1", "k2"), "/system_stats": stats("--cache-none")}
    check, transport = check_of(replies, "inspire", (A,))
    assert (await answer_of(check)).needed == ()
    assert transport.requests == [INSPIRE]


async def test_missing_keys_are_brought_back_before_cache_disabled() -> None:
    replies: dict[str, Scripted | list[Scripted]] = {
        INSPIRE: inspire_reply(),
        "/history": json_reply({}),
        "/system_stats": stats("--cache-none"),
    }
    check, transport = check_of(replies, "inspire", (A, KEYLESS))
    assert (await answer_of(check)).needed == ("a",)
    transport.replies[INSPIRE] = inspire_reply("k1", "k2")
    assert (await unusable_answer_of(check))[0] is Reason.CACHE_DISABLED


async def test_history_under_memory_pressure_without_end_is_cache_disabled() -> None:
    system = {"comfyui_version": "0.33.0", "ram_total": 24 * 2**30, "argv": ["main.py", "--cache-ram", "1000"]}
    replies = {"/history": json_reply(history_of(KEYLESS, "p")), "/system_stats": json_reply({"system": system})}
    assert (await unusable_answer_of(check_of(replies, "history", (KEYLESS,))[0]))[0] is Reason.CACHE_DISABLED
