"""The body of a pause: when it ends, and a note. No body pauses until the operator resumes."""

import math
import unicodedata
from datetime import datetime
from http import HTTPStatus

import orjson

from statemachine.core.pause import LONGEST_NOTE, PauseTerms
from statemachine.publish.serialize import Json
from statemachine.settings.times import LONGEST_S, LONGEST_TEXT, DurationError, parse_duration
from statemachine.web.responses import ApiError, quoted

PAUSE_BODY: Json = {
    "type": "object",
    "properties": {
        "for": {
            "type": "string",
            "minLength": 2,
            "maxLength": LONGEST_TEXT,
            "description": "A duration such as 45m, 2h or 1d12h.",
        },
        "until": {"type": "string", "format": "date-time", "description": "The end, instead of `for`."},
        "note": {"type": "string", "maxLength": LONGEST_NOTE},
    },
    "additionalProperties": False,
}
_DIRECTIONS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
"""Characters that change the direction of the text around them."""


def pause_terms(body: bytes, now: float) -> PauseTerms:
    """Return the terms in a request's body. Raises ApiError 400."""
    if not body.strip():
        return PauseTerms()
    data = _parsed(body)
    if unknown := data.keys() - PAUSE_BODY["properties"].keys():
        raise _invalid(f"unknown key {quoted(min(unknown))}; allowed: for, until, note")
    if "for" in data and "until" in data:
        raise _invalid("give either for or until")
    return PauseTerms(_end(data, now), _note(data.get("note", "")))


def _parsed(body: bytes) -> Json:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _invalid(f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise _invalid('the body is not an object; send {"for": "2h", "note": "…"}, or nothing')
    return data


def _end(data: Json, now: float) -> float | None:
    if "for" in data:
        return now + _duration(data["for"])
    return _instant(data["until"], now) if "until" in data else None


def _duration(value: object) -> float:
    if not isinstance(value, str):
        raise _invalid("for: not a text; write a duration such as 45m, 2h or 1d12h")
    try:
        return parse_duration(value)
    except DurationError as error:
        raise _invalid(f"for: {error}") from error


def _instant(value: object, now: float) -> float:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _invalid("until: not a time with a time zone, such as 2026-01-31T18:00:00Z")
    try:
        until = at.timestamp()
    except (OverflowError, ValueError):
        until = math.inf
    if until <= now:
        raise _invalid(f"until: {quoted(str(value))} is in the past")
    if until > now + LONGEST_S:
        raise _invalid("until: more than 366 days ahead; pause without an end instead")
    return until


def _note(value: object) -> str:
    if not isinstance(value, str):
        raise _invalid("note: not a text")
    if len(value) > LONGEST_NOTE:
        raise _invalid(f"note: {len(value)} characters; at most {LONGEST_NOTE} are allowed")
    if any(unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") or one in _DIRECTIONS for one in value):
        raise _invalid("note: it has control characters or line breaks; write one line of text")
    return value.strip()


def _invalid(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_pause", message)
