"""Messages of transitions and notices, and their JSON form."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.core import events as e
from statemachine.core.log_entry import notice_message
from statemachine.core.machine import Machine
from statemachine.core.messages import (
    JOINED_LIMIT,
    MAX_TEXT,
    Message,
    Param,
    joined,
    jsonable,
    message,
    message_from,
    verbatim,
)
from statemachine.core.server import Server
from statemachine.core.vocabulary import Notice, Reason
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from tests.core.builders import accepted, submission


def test_notice_message_with_detail_contains_both() -> None:
    refused = notice_message(Notice.SETTINGS_REFUSED, "servers[0].url")
    assert render(refused, "zh") == "新的设置或工作流文件有误，继续使用原有设置：servers[0].url"


def test_transition_messages_render_in_either_language() -> None:
    server, machine = Server("a"), Machine()
    applied: list[e.Event] = [
        e.CheckStarted(),
        e.CheckAnswered("text", ("k1", "k2"), ("w",), False, 0),
        submission(),
        accepted(),
    ]
    messages = [one.message for event in applied for one in machine.apply(server, event, 1.0)]
    assert [render(one, "en") for one in messages] == [
        "the cache check is running",
        "text check: missing k1, k2",
        "submitting workflow cache_models",
        "the server accepted workflow cache_models",
    ]
    assert [render(one, "zh") for one in messages] == [
        "正在查询缓存状态",
        "text 检查：缺少 k1、k2",
        "正在提交工作流 cache_models",
        "服务器已收到我们的工作流 cache_models",
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_verbatim_text_is_rendered_unchanged(language: Language) -> None:
    server, machine = Server("a"), Machine()
    machine.apply(server, e.CheckStarted(), 1.0)
    text = "cache check: {missing} {0} 100%"
    (one,) = machine.apply(server, e.CheckUnusable(Reason.CHECK_UNRECOGNISED, verbatim(text)), 2.0)
    assert render(one.message, language) == text


def test_keys_with_braces_are_rendered_unchanged() -> None:
    server, machine = Server("a"), Machine()
    machine.apply(server, e.CheckStarted(), 1.0)
    (one,) = machine.apply(server, e.CheckAnswered("text", ("{k}", "{kind}"), ("w",), False, 0), 2.0)
    assert render(one.message, "en") == "text check: missing {k}, {kind}"


def test_joined_messages_are_bounded_and_counted() -> None:
    assert render(joined([verbatim("a"), verbatim("b"), verbatim("c")]), "en") == "a; b; c"
    many = joined([verbatim(str(number)) for number in range(5_000)])
    assert render(many, "en").endswith(f"; {JOINED_LIMIT - 1}; and {5_000 - JOINED_LIMIT} more")


def test_message_survives_json() -> None:
    nested = message("workflow_unfit", workflow="w", problems=joined([verbatim("a"), message("no_nodes")]))
    several = message("check_missing", kind="text", missing=("k1", "k2"))
    for one in (nested, several, message("no_answer_in", seconds=0.5)):
        assert message_from(one.code, jsonable(one.params), "") == one


@pytest.mark.parametrize("params", [None, [], {"a": None}, {"a": {"params": {}}}, {"a": {"code": "b"}}])
def test_message_from_invalid_parameters_is_refused(params: object) -> None:
    with pytest.raises(ValueError, match="message parameter"):
        message_from("verbatim", params, "")


def test_message_without_a_code_is_its_stored_text() -> None:
    assert message_from(None, {}, "a sentence") == Message(text="a sentence")
    assert render(Message(text="a sentence"), "zh") == "a sentence"


PARAMS = st.recursive(
    st.text(max_size=5000) | st.integers() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=300).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "b"]), inner).map(lambda params: message("joined", **params))
    ),
    max_leaves=20,
)


def characters(data: object) -> int:
    if isinstance(data, dict):
        return sum(map(characters, data.values()))
    return sum(map(characters, data)) if isinstance(data, list) else len(data) if isinstance(data, str) else 0


@given(params=st.dictionaries(st.sampled_from(["first", "rest", "more"]), PARAMS))
def test_message_of_any_parameters_is_bounded(params: dict[str, Param]) -> None:
    found = message("joined", **params).as_json()["message_params"]
    orjson.dumps(found)
    assert characters(found) <= MAX_TEXT + 500, "codes and marks of what was cut are short"


def test_message_within_the_bound_is_unchanged() -> None:
    params = {"what": "x" * (MAX_TEXT - 100), "errors": (verbatim("y" * 50), "z")}
    assert message("detailed", **params).params == params


def test_huge_text_is_cut_where_it_enters() -> None:
    found = render(message("joined", first=verbatim("x" * 20_000_000), rest=("k",) * 1_000_000), "en")
    assert found.startswith("x" * 100)
    assert "…; and 1000000 more" in found
    assert len(found) < MAX_TEXT + 100


def test_message_from_deeply_nested_parameters_is_refused() -> None:
    params: dict[str, object] = {}
    for _ in range(300):
        params = {"first": {"code": "joined", "params": params}}
    with pytest.raises(ValueError, match="nested"):
        message_from("joined", params, "")
