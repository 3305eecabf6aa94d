"""Read JSON that another node, another version or a person has written: bounded, and with every type checked.

What is not as expected raises one of `DECODE_ERRORS`. Unknown fields of later versions are ignored.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any, TypeVar

import orjson
from loguru import logger

from statemachine.core.levels import Level
from statemachine.core.messages import Message, one_line
from statemachine.journal.rows import PARAMS_LIMIT, TEXT_LIMIT, message_of
from statemachine.settings.values import MAX_NAME_LENGTH

Json = dict[str, Any]
T = TypeVar("T")

MAX_BYTES = 1_048_576
"""A longer value is not parsed. NATS accepts no longer ones by default."""

MAX_NESTING = 100
"""Brackets in the parameters of a message; above it only its sentence is read."""

LATEST = 253_402_300_800.0
"""Epoch seconds at the end of the year 9999, the last that Python can format."""

LARGEST_COUNT = 2**53
REPORT_EVERY = 1_000
REPORTED_PLACES = 10
"""Keys of one kind whose first unreadable value is reported."""

DECODE_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What decoding raises for data that another version, or a person, has written."""


def parse(value: bytes) -> Any:
    """Return the JSON of a value."""
    if len(value) > MAX_BYTES:
        raise ValueError(f"it has {len(value)} bytes, more than {MAX_BYTES}")
    return orjson.loads(value)


def parse_object(value: bytes) -> Json:
    """Return the JSON object of a value."""
    return mapping(parse(value))


def mapping(value: Any) -> Json:
    """Return an object."""
    if not isinstance(value, dict):
        raise TypeError(f"{type(value).__name__} is not an object")
    return value


def whole_text(value: Any) -> str:
    """Return a text, however long."""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is not a text")
    return value


def text(value: Any) -> str:
    """Return a text, cut to what the journal stores."""
    return whole_text(value)[:TEXT_LIMIT]


def flag(value: Any) -> bool:
    """Return a truth value; a journal row has 0 or 1."""
    if value not in (False, True) or not isinstance(value, bool | int):
        raise TypeError(f"{type(value).__name__} is not true or false")
    return bool(value)


def count(value: Any) -> int:
    """Return a number of things."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_COUNT:
        raise ValueError("not a count")
    return value


def number(value: Any) -> float:
    """Return a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def instant(value: Any) -> float:
    """Return epoch seconds of a year that can be formatted."""
    if not 0 <= number(value) < LATEST:
        raise ValueError("not a time")
    return number(value)


def share(value: Any) -> float:
    """Return a number from 0 to 1."""
    if not 0 <= number(value) <= 1:
        raise ValueError("not a share")
    return number(value)


def texts(value: Any) -> tuple[str, ...]:
    """Return a list of texts."""
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} is not a list")
    return tuple(text(one) for one in value)


def node_name(value: Any) -> str:
    """Return the name of a node. A longer one than settings allow would not fit into a subject of NATS."""
    name = whole_text(value)
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"a node's name has at most {MAX_NAME_LENGTH} characters, not {len(name)}")
    return name


def levels(value: Any) -> dict[str, Level]:
    """Return the level of each key."""
    return {text(key): Level(level) for key, level in mapping(value).items()}


def maybe(read: Callable[[Any], T], value: Any) -> T | None:
    """Return None, or what `read` returns."""
    return None if value is None else read(value)


def message_from_json(sentence: Any, data: Any) -> Message:
    """Decode a stored sentence, and the code and parameters beside it if they are understood."""
    known = data if isinstance(data, dict) else {}
    code, params = known.get("code"), known.get("params")
    if not isinstance(code, str) or not (params is None or _is_plain(params)):
        return Message(text=text(sentence))
    return message_of({"message": text(sentence), "message_code": code, "message_params": params})


def _is_plain(params: Any) -> bool:
    if not isinstance(params, str) or len(params) > PARAMS_LIMIT:
        return False
    return params.count("{") + params.count("[") <= MAX_NESTING


def encode_json(data: Any) -> bytes:
    """Encode data of any server: text that UTF-8 cannot encode gets question marks, huge integers become floats."""
    try:
        return orjson.dumps(data, default=repr)
    except TypeError:
        text = json.dumps(data, ensure_ascii=False, default=_plain)
        return orjson.dumps(json.loads(text.encode("utf-8", "replace"), parse_int=_number), default=repr)


def _number(digits: str) -> int | float:
    number = int(digits)
    return number if abs(number) < 2**63 else float(digits)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else repr(value)


class Unreadable:
    """Report values of one kind that were not understood: the first of some keys, and then every thousandth."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._count = 0
        self._reported: set[str] = set()

    def report(self, where: str, error: Exception) -> None:
        """Log a value that is not used."""
        is_new = where not in self._reported and len(self._reported) < REPORTED_PLACES
        if is_new or self._count % REPORT_EVERY == 0:
            self._reported |= {where} if is_new else set()
            so_far = f" ({self._count} others before it)" if self._count else ""
            found = one_line(repr(error)[:TEXT_LIMIT])
            logger.warning("{} {} was not understood and is not used: {}{}", self._kind, where, found, so_far)
        self._count += 1
