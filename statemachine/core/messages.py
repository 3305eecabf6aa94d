"""What the program reports to people: a code with parameters. `statemachine.i18n` has the texts.

Text that may quote a server is made safe to print by `one_line` and `harmless`.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Union

Param = Union[str, int, float, "Message", Sequence["Param"]]

JOINED_LIMIT = 10
"""Messages that `joined` shows; it counts the others."""

MAX_TEXT = 2_000
"""Characters of all parameters of a message, those of nested messages included. What is beyond is cut."""

_MAX_NUMBER = 2**63 - 1
MAX_NESTED = 20
"""Messages within messages that are read from JSON."""

MAX_CODE = 100
"""Characters of a code, and of a parameter's name."""

MOST_CLOSE = 3

_ERROR_NUMBER = re.compile(r"\[Errno -?\d+\] ")


@dataclass(frozen=True, slots=True)
class Message:
    """A code of the catalogue in `statemachine.i18n`, and the values for the places in its text.

    What goes beyond MAX_TEXT is cut here, because servers, libraries and clients send texts of any length.

    `text` is the sentence in the daemon's language. It is shown where the code is unknown: the code of a newer version,
    or "" for a sentence that an older version stored without a code.
    """

    code: str = ""
    params: Mapping[str, Param] = field(default_factory=lambda: MappingProxyType({}))
    text: str = field(default="", compare=False)
    _json: list[dict[str, Any]] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if _size(self.params) > MAX_TEXT:
            object.__setattr__(self, "params", _Cut(MAX_TEXT).mapping(self.params))
        if len(self.text) > 2 * MAX_TEXT:
            object.__setattr__(self, "text", _cut(self.text, MAX_TEXT))

    def __bool__(self) -> bool:
        return bool(self.code or self.text)

    def as_json(self) -> dict[str, Any]:
        """Return `message`, `message_code` and `message_params`; computed once, since most events repeat them."""
        if not self._json:
            code, params = self.code or None, jsonable(self.params)
            self._json.append({"message": self.text, "message_code": code, "message_params": params})
        return self._json[0]

    def with_text(self, text: str) -> "Message":
        """Return the same message with its sentence."""
        return Message(self.code, self.params, text)


def _size(param: Param | Mapping[str, Param]) -> int:
    """Return the characters of a parameter or of several; an item of a list counts for its separator as well."""
    if isinstance(param, str):
        return len(param)
    if isinstance(param, Mapping):
        return sum([_size(one) for one in param.values()])
    if isinstance(param, Message):
        return _size(param.params) + len(param.code)
    if isinstance(param, int | float):
        return 0 if isinstance(param, float) or abs(param) <= _MAX_NUMBER else MAX_TEXT + 1
    return sum([_size(one) + 2 for one in param])


class _Cut:
    """Cuts parameters, the first ones last, so that all of them together have at most `left` characters."""

    def __init__(self, left: int) -> None:
        self._left = left

    def mapping(self, params: Mapping[str, Param]) -> Mapping[str, Param]:
        return {name: self._param(param) for name, param in params.items()}

    def _param(self, param: Param) -> Param:
        if isinstance(param, str):
            shown = _cut(param, self._left)
            self._left = max(0, self._left - len(shown))
            return shown
        if isinstance(param, Message):
            return Message(param.code, self.mapping(param.params))
        if isinstance(param, int | float):
            return param if isinstance(param, float) else max(-_MAX_NUMBER, min(param, _MAX_NUMBER))
        return self._items(param)

    def _items(self, items: Sequence[Param]) -> Sequence[Param]:
        """Return the first items, and how many are left out."""
        shown = list[Param]()
        for one in items:
            if self._left <= 0:
                return (*shown, message("more_items", count=len(items) - len(shown)))
            self._left -= 2
            shown.append(self._param(one))
        return tuple(shown)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


NO_MESSAGE = Message()


def message(code: str, /, **params: Param) -> Message:
    """Return the message with this code of the catalogue."""
    return Message(code, params)


def verbatim(text: str) -> Message:
    """Return a message that is shown as it is: text from a server or a library."""
    return Message("verbatim", {"text": text})


def joined(messages: Sequence[Message], *, more: int = 0) -> Message:
    """Return one message of several, separated by semicolons, and of `more` others. `messages` is not empty."""
    *others, last = messages[:JOINED_LIMIT]
    if count := max(0, len(messages) - JOINED_LIMIT) + more:
        last = message("and_more", last=last, count=count)
    for one in reversed(others):
        last = message("joined", first=one, rest=last)
    return last


def jsonable(params: Mapping[str, Param]) -> dict[str, Any]:
    """Return the parameters as JSON data: a nested message becomes `{"code": …, "params": {…}}`."""
    return {name: _jsonable(param) for name, param in params.items()}


def _jsonable(param: Param) -> Any:
    if isinstance(param, str | int | float):
        return param
    if isinstance(param, Message):
        return {"code": param.code, "params": jsonable(param.params)}
    return [_jsonable(one) for one in param]


def message_from(code: str | None, params: Any, text: str) -> Message:
    """Return the message that `jsonable` parameters came from. Raise ValueError where `params` are not such."""
    return _nested_message(code, params, 0, text) if code else Message(text=text)


def _nested_message(code: str, params: Any, depth: int, text: str = "") -> Message:
    if not isinstance(params, dict) or depth > MAX_NESTED:
        raise ValueError("message parameters are not an object, or too deeply nested")
    if any(len(name) > MAX_CODE for name in (code, *params)):
        raise ValueError("the code or the name of a parameter is too long")
    return Message(code, {name: _param_from(value, depth) for name, value in params.items()}, text)


def _param_from(value: Any, depth: int) -> Param:
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return tuple(_param_from(one, depth + 1) for one in value)
    if isinstance(value, dict) and isinstance(value.get("code"), str):
        return _nested_message(value["code"], value.get("params"), depth + 1)
    raise ValueError("a message parameter is not a text, a number, a list or a message")


def unknown(what: str, name: str, known: Collection[str]) -> Message:
    """Return the error for a name that is not known; `what` is server, group, state, reason, channel or persona."""
    if close := get_close_matches(name, known, n=MOST_CLOSE):
        return Message(f"cli.unknown_{what}_close", {"name": name, "close": close})
    return Message(f"cli.unknown_{what}", {"name": name, "names": sorted(known)})


def one_line(text: str) -> str:
    """Return the text on one line, with escapes for what cannot be printed or reverses the writing."""
    return harmless(" ".join(text.split()))


def harmless(text: str) -> str:
    """Return the same, with its line breaks."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text)


def harmless_json(text: str) -> str:
    """Return the JSON on one line with escapes for the same characters; it stays the same JSON."""
    return text if text.isprintable() else "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def without_error_number(text: str) -> str:
    """Return the text of an OSError without `[Errno …]`."""
    return _ERROR_NUMBER.sub("", text)
