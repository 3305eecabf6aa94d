"""Short forms of frames that are too long to be parsed."""

import json
import re
from typing import Any

KEPT_TYPES = frozenset({"execution_error"})
"""Types whose frames may be long although the members that matter are short and come first."""

_BEGINNING = re.compile(r'\s*\{\s*"type"\s*:\s*"([^"\\]{1,100})"\s*,\s*"data"\s*:\s*\{')
_NAME = re.compile(r'\s*"([^"\\]{1,100})"\s*:\s*')
_SEPARATOR = re.compile(r"\s*,")
_DECODER = json.JSONDecoder(parse_constant=lambda _: None, strict=False)


def shortened(beginning: str) -> str | None:
    """Return the frame with those members of `data` that are whole; None if its type does not matter."""
    start = _BEGINNING.match(beginning)
    if start is None or start[1] not in KEPT_TYPES:
        return None
    data, at = dict[str, Any](), start.end()
    while name := _NAME.match(beginning, at):
        try:
            data[name[1]], at = _DECODER.raw_decode(beginning, name.end())
        except (ValueError, RecursionError):
            break
        separator = _SEPARATOR.match(beginning, at)
        if separator is None:
            break
        at = separator.end()
    return json.dumps({"type": start[1], "data": data})
