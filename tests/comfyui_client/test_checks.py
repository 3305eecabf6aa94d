"""The cache checks: which kind is used, and how unusable answers, texts and Inspire's lists are treated."""

import pytest

from statemachine.comfyui.checks import CheckResult
from statemachine.comfyui.errors import NotAnsweringError
from statemachine.comfyui.transport import Reply
from statemachine.core import events as e
from statemachine.core.vocabulary import Reason
from tests.comfyui_client.check_builders import (
    AUTO_STARTED,
    EMPTY_LIST,
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
from tests.comfyui_client.fakes import NOT_FOUND, Replies, Scripted, history_of, json_reply, text_reply

# Which kind is used.

ROUTES = (TEXT, NODE, INSPIRE, HISTORY)


@pytest.mark.parametrize(
    ("replies", "kind", "requests"),
    [
        ({TEXT: LOADED}, "text", [NODE]),
        ({TEXT: node_reply()}, "node", [NODE]),
        ({INSPIRE: text_reply(EMPTY_LIST)}, "inspire", [NODE, INSPIRE]),
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


async def test_check_auto_without_plugins_reads_history_and_once_the_cache_mode() -> None:
    check, transport = check_of({HISTORY: json_reply({})})
    assert (await answer_of(check)).kind == "history"
    assert transport.requests == [NODE, INSPIRE, HISTORY, "/system_stats"]
    assert (await answer_of(check)).kind == "history"
    assert transport.requests[4:] == [HISTORY]


async def test_check_auto_after_forget_tries_all_kinds() -> None:
    check, transport = check_of({INSPIRE: text_reply(EMPTY_LIST)})
    await answer_of(check)
    transport.replies[TEXT] = LOADED
    assert (await answer_of(check)).kind == "inspire"
    check.forget()
    assert (await answer_of(check)).kind == "text"


async def test_check_auto_forgotten_while_it_is_asked_tries_all_kinds() -> None:
    """The server may be restarted with its plug-ins between the request and the answer of a check by history."""
    check, transport = check_of({})

    def restarted() -> Reply:
        check.forget()
        return json_reply({})

    transport.replies[HISTORY] = restarted
    assert (await answer_of(check)).kind == "history"
    transport.replies[TEXT] = LOADED
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
    assert transport.requests == [path, "/prompt"]


@pytest.mark.parametrize("kind", ["auto", "node", "text", "inspire", "history"])
@pytest.mark.parametrize("status", [404, 410])
async def test_check_of_a_tunnel_without_server_is_not_answering(kind: str, status: int) -> None:
    check, transport = check_of({path: text_reply("tunnel not found", status) for path in (*ROUTES, "/prompt")}, kind)
    with pytest.raises(NotAnsweringError, match=f"GET /prompt answers HTTP {status}"):
        await check.ask(0)
    assert transport.requests[-1] == "/prompt"


async def test_check_absent_while_prompt_is_limited_is_rate_limited() -> None:
    check, _ = check_of({"/prompt": text_reply("slow down", 429)})
    assert (await unusable_answer_of(check))[0] is Reason.RATE_LIMITED


@pytest.mark.parametrize("kind", ["auto", "node", "text", "inspire", "history"])
async def test_check_limited_is_rate_limited_with_raw(kind: str) -> None:
    check, transport = check_of(dict.fromkeys(ROUTES, text_reply("slow down", 429)), kind)
    reason, result = await unusable_answer_of(check)
    assert (reason, result.raw) == (Reason.RATE_LIMITED, "slow down")
    assert len(transport.requests) == 1


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


@pytest.mark.parametrize("others", [["x" * 60_000], [f"other-{number}" for number in range(900)]], ids=["long", "many"])
async def test_text_keys_of_others_are_bounded(others: list[str]) -> None:
    check, _ = check_of({TEXT: text_reply(f"未查询到缓存{','.join([*others, 'k3'])}。")}, workflows=(A, B))
    event = await answer_of(check)
    assert (event.missing[-1], event.needed) == ("k3", ("b",))
    assert 1_900 < sum(map(len, event.missing)) <= 2_002


async def test_text_auto_executing_is_reported_with_raw() -> None:
    text = f"未查询到缓存k1,k2{AUTO_STARTED}"
    check, _ = check_of({TEXT: text_reply(text)})
    result = await check.ask(3)
    assert result == CheckResult(e.CheckAnswered("text", ("k1", "k2"), ("a",), auto_executing=True, epoch=3), text)


async def test_text_loaded_covers_workflows_without_keys() -> None:
    check, _ = check_of({TEXT: LOADED}, workflows=(KEYLESS,))
    assert (await answer_of(check)).needed == ()


# Inspire.


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
