"""The texts of the cache checks: loaded, missing, loading by itself, and not understood."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui.check_texts import MAX_TEXT, TextAnswer, parse_inspire_list, parse_text
from statemachine.comfyui.errors import NotUnderstoodError

LOADED = TextAnswer(loaded=True, missing=(), auto_executing=False)
AUTO_STARTED = "已经自动在后台执行缓存模型工作流"


def missing(*keys: str, auto: bool = False) -> TextAnswer:
    return TextAnswer(loaded=False, missing=keys, auto_executing=auto)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("缓存已加载。", LOADED),
        ("缓存已加载", LOADED),
        (" 缓存已加载。\r\n", LOADED),
        ('"缓存已加载。"', LOADED),
        ('{"message": "缓存已加载。"}', LOADED),
        ('{"code": 0, "data": [{"text": "缓存已加载。"}]}', LOADED),
        ("未查询到缓存k1,k2", missing("k1", "k2")),
        ("未查询到缓存k1，k2。", missing("k1", "k2")),
        ("未查询到缓存k1, k2，k3。", missing("k1", "k2", "k3")),
        ("未查询到缓存：k1、k2", missing("k1", "k2")),
        ("未查询到缓存k1,k1,", missing("k1")),
        ("未查询到缓存。", missing()),
        (f"未查询到缓存k1,k2，{AUTO_STARTED}。", missing("k1", "k2", auto=True)),
        (f"未查询到缓存k1,k2,{AUTO_STARTED}", missing("k1", "k2", auto=True)),
        (f"未查询到缓存，{AUTO_STARTED}。", missing(auto=True)),
        ("未查询到缓存，已经自动执行缓存模型工作流。", missing(auto=True)),
        (json.dumps({"result": f"未查询到缓存k1，{AUTO_STARTED}。"}), missing("k1", auto=True)),
        (json.dumps({"result": f"未查询到缓存k1，{AUTO_STARTED}。"}, ensure_ascii=False), missing("k1", auto=True)),
    ],
)
def test_parse_text_known_text_is_understood(text: str, expected: TextAnswer) -> None:
    assert parse_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        "[]",
        "loaded",
        "cache is loaded.",
        "<html>404</html>",
        "缓存未加载。",
        "缓存已加载失败。",
        "缓存已加载。未查询到缓存k1",
        '{"error": "not found"}',
        f"未查询到缓存k1,k2，{AUTO_STARTED}，请稍候。",
        "未查询到缓存k1,k2，正在后台执行缓存模型工作流。",
        "未查询到缓存k1,k2，后台执行失败，请检查日志。",
        f"未查询到缓存k1,k2。{AUTO_STARTED}。",
        f"未查询到缓存k1\n{AUTO_STARTED}",
        "未查询到缓存k1,\ufffd\ufffd",
    ],
)
def test_parse_text_unknown_text_raises_with_raw(text: str) -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        parse_text(text)
    assert caught.value.raw == text


KEYS = st.lists(st.from_regex(r"[A-Za-z0-9_]{1,12}", fullmatch=True), unique=True, min_size=1, max_size=5)


@given(keys=KEYS, auto=st.booleans(), separator=st.sampled_from([",", "，", ", ", "、"]), wrap=st.booleans())
def test_parse_text_keys_are_returned_unchanged(keys: list[str], auto: bool, separator: str, wrap: bool) -> None:
    text = f"未查询到缓存{separator.join(keys)}{f'，{AUTO_STARTED}' if auto else ''}。"
    assert parse_text(json.dumps({"msg": text}) if wrap else text) == missing(*keys, auto=auto)


@given(st.text() | st.text().map(lambda end: f"未查询到缓存{end}") | st.text().map(lambda end: f"缓存已加载{end}"))
def test_parse_text_any_text_raises_only_not_understood(text: str) -> None:
    try:
        answer = parse_text(text)
    except NotUnderstoodError:
        return
    assert not (answer.loaded and (answer.missing or answer.auto_executing))


@pytest.mark.parametrize(
    "text", ["未查询到缓存" + " " * 20_000 + "x" + " " * 20_000 + "y", "[" * 5_000, "未查询到缓存" + "," * 50_000]
)
@pytest.mark.timeout(5)
def test_parse_text_adversarial_text_is_fast(text: str) -> None:
    try:
        parse_text(text)
    except NotUnderstoodError:
        return


def test_parse_text_oversized_raises_with_limited_raw() -> None:
    with pytest.raises(NotUnderstoodError) as caught:
        parse_text("缓存已加载。" + " " * MAX_TEXT)
    assert len(caught.value.raw) <= 2_000


LIST = """---- [String Key Caches] ----
pulid_model: model
ben2_base: N/A(tag)
a:b: two
spaced key : t

---- [Number Key Caches] ----
7: seven
ghost: number

---- [TagCache Settings] ----
other: 3
"""


@pytest.mark.parametrize(
    ("key", "is_listed"),
    [
        ("pulid_model", True),
        ("ben2_base", True),
        ("a:b", True),
        ("a", False),
        ("pulid", False),
        ("model", False),
        ("7", False),
        ("ghost", False),
        ("other", False),
    ],
)
def test_inspire_list_missing_considers_string_keys_only(key: str, is_listed: bool) -> None:
    assert parse_inspire_list(LIST).missing([key]) == (() if is_listed else (key,))


@pytest.mark.parametrize("key", [" a", "a ", "a\u2028b", "a\x0bb", "a\rb", "---- a", "----[x]", "a\nb", "\na", "a\n"])
def test_inspire_list_keys_of_any_characters_are_found(key: str) -> None:
    """Inspire-Pack writes a key as it is."""
    text = f"---- [String Key Caches] ----\nfirst: t\n{key}: t\nlast: t\n\n---- [Number Key Caches] ----\n"
    assert parse_inspire_list(text).missing(["first", key, "last", "other"]) == ("other",)


def test_inspire_list_empty_misses_all_keys() -> None:
    listed = parse_inspire_list("---- [String Key Caches] ----\n\n---- [Number Key Caches] ----\n")
    assert listed.missing(["a", "b"]) == ("a", "b")


@pytest.mark.parametrize("text", ["", "404", "---- [Number Key Caches] ----\n", "缓存已加载。", '{"caches": []}'])
def test_parse_inspire_list_other_text_raises(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        parse_inspire_list(text)


@given(st.text())
def test_parse_inspire_list_any_text_raises_only_not_understood(text: str) -> None:
    try:
        parse_inspire_list(text)
    except NotUnderstoodError:
        return
    assert "[String Key Caches]" in text
