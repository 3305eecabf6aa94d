"""The JSON of servers: all that `json.dumps` writes can be read, and then written again."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.comfyui import server_json
from tests.comfyui_client.test_frames import DEEP

LONE = "\ud800"
ANY = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=8)
)
PYTHON_VALUES = st.recursive(
    ANY, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3), max_leaves=8
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"max": Infinity, "min": -Infinity, "step": NaN}', {"max": None, "min": None, "step": None}),
        ("[1e999, -1e999]", [None, None]),
        (f"[{10**400}]", [None]),
        ("[" + "9" * 5000 + "]", [None]),
        ("[NaN, 18446744073709551616, 18446744073709551615, -0.5]", [None, 2.0**64, 2**64 - 1, -0.5]),
        (json.dumps({LONE: f"a{LONE}b", "pair": "\U0001f600"}), {"\ufffd": "a\ufffdb", "pair": "\U0001f600"}),
        (r'["\\ud800", "\\\ud800"]', ["\\ud800", "\\\ufffd"]),
        (json.dumps([LONE, float("nan")], ensure_ascii=False), ["?", None]),
        ('{"NaN": 1, "NaN": NaN}', {"NaN": None}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('\ufeff \n{"a": NaN}\r\n', {"a": None}),
    ],
)
def test_loads_accepts_what_python_writes(text: str, expected: Any) -> None:
    assert server_json.loads(text) == expected


def test_loads_invalid_utf8_within_a_text_is_replaced() -> None:
    assert server_json.loads('["é", NaN]'.encode("latin-1")) == ["\ufffd", None]
    assert server_json.loads(json.dumps([LONE], ensure_ascii=False).encode(errors="surrogatepass")) == ["\ufffd" * 3]


@pytest.mark.parametrize(
    "text", ["", "nan", "{'a': 1}", "[1,]", "[NaN", '{"a": NaN} x', "<html>", f"[NaN, {DEEP * 9}]"]
)
def test_loads_other_texts_raise_the_error_of_orjson(text: str) -> None:
    with pytest.raises(orjson.JSONDecodeError) as expected:
        orjson.loads(text)
    with pytest.raises(orjson.JSONDecodeError) as found:
        server_json.loads(text)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("depth", [100, 400, 900, 1_000, 1_100, 100_000])
def test_loads_nested_surrogates_are_read_or_refused(depth: int) -> None:
    try:
        value = server_json.loads("[" * depth + '"\\ud800"' + "]" * depth)
    except orjson.JSONDecodeError:
        assert depth > 400
    else:
        assert str(value).strip("[]") == "'\ufffd'"


@given(PYTHON_VALUES)
def test_loads_any_value_of_python_can_be_written_again(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        orjson.dumps(server_json.loads(text))
        orjson.dumps(server_json.loads(text.encode(errors="surrogatepass")))
