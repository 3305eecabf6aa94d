"""The JSON that ComfyUI and its plug-ins write, and texts made from it.

It is that of Python's `json.dumps`, which is not always valid JSON: it has bare `NaN`, `Infinity` and `-Infinity`,
numbers beyond the range of a double, and escapes of lone surrogates.
"""

import json
import re
from functools import lru_cache
from typing import Any

import orjson

from statemachine.core.messages import MAX_TEXT

_ESCAPED_SURROGATE = re.compile(r"\\u[dD]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


MAX_ITEMS = 100_000
"""Weight of a text that is parsed at once: 1 for a comma and 2 for an opening bracket, also within texts. Parsing takes
at most 30 ms."""

MAX_LENIENT_ITEMS = 20_000
"""The same for a text that is not valid JSON, whose parser is slower."""

INTERNED_TEXTS = 512
"""Distinct texts that `intern_text` keeps. A fleet has few versions, device names and check answers."""


def has_too_many_items(data: bytes | bytearray | str, limit: int = MAX_ITEMS) -> bool:
    """Return whether parsing this text would take too long."""
    if 2 * len(data) <= limit:
        return False
    if isinstance(data, str):
        return data.count(",") + 2 * (data.count("{") + data.count("[")) > limit
    return data.count(b",") + 2 * (data.count(b"{") + data.count(b"[")) > limit


def loads(data: bytes | str) -> Any:
    """Return the value of a JSON text; orjson can serialise it again, unless it is nested too deeply for that.

    Numbers that are not finite become None, and what cannot be encoded in UTF-8 becomes U+FFFD. Raises
    orjson.JSONDecodeError.
    """
    if has_too_many_items(data):
        raise orjson.JSONDecodeError(f"more than {MAX_ITEMS:,} items", "", 0)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if has_too_many_items(data, MAX_LENIENT_ITEMS):
            raise
        text = (data if isinstance(data, bytes) else data.encode("utf-8", "replace")).decode("utf-8-sig", "replace")
        try:
            value = _DECODER.decode(text.lstrip())
            return _without_surrogates(value) if _ESCAPED_SURROGATE.search(text) else value
        except (ValueError, RecursionError):
            raise error from None


def _number(text: str) -> int | float | None:
    """Return a number as orjson reads it, None for infinity."""
    try:
        number: int | float = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return number


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(inner) for inner in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(inner) for name, inner in value.items()}
    return value


_DECODER = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=lambda _: None, strict=False)


def json_text(value: object) -> str:
    """Return a text as it is and any other value as JSON.

    Raises TypeError for a value nested more than 254 levels deep. `str()` of such a value raises RecursionError or
    returns a long text, depending on the version of Python.
    """
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def shown(value: object) -> str:
    """Return the beginning of the value as text for a message; never raises."""
    try:
        return json_text(value)[: MAX_TEXT + 1]
    except TypeError:
        return "(nested too deeply)"


@lru_cache(maxsize=INTERNED_TEXTS)
def intern_text(text: str) -> str:
    """Return an equal text that was seen before, so that thousands of servers share one copy."""
    return text
