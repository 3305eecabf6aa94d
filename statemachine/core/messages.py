"""What the program reports to people: a code with parameters. `statemachine.i18n` has the texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Union

Param = Union[str, int, float, "Message", Sequence["Param"]]

JOINED_LIMIT = 10
"""Messages that `joined` shows; it counts the others."""


@dataclass(frozen=True, slots=True)
class Message:
    """A code of the catalogue in `statemachine.i18n`, and the values for the places in its text.

    `text` is the sentence in the daemon's language. It is shown where the code is unknown: the code of a newer version,
    or "" for a sentence that an older version stored without a code.
    """

    code: str = ""
    params: Mapping[str, Param] = field(default_factory=lambda: MappingProxyType({}))
    text: str = field(default="", compare=False)
    _json: list[dict[str, Any]] = field(default_factory=list, init=False, repr=False, compare=False)

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


NO_MESSAGE = Message()


def message(code: str, /, **params: Param) -> Message:
    """Return the message with this code of the catalogue."""
    return Message(code, params)


def verbatim(text: str) -> Message:
    """Return a message that is shown as it is: text from a server or a library."""
    return Message("verbatim", {"text": text})


def joined(messages: Sequence[Message]) -> Message:
    """Return one message of several, separated by semicolons. `messages` is not empty."""
    *others, last = messages[:JOINED_LIMIT]
    if len(messages) > JOINED_LIMIT:
        last = message("and_more", last=last, count=len(messages) - JOINED_LIMIT)
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
    return Message(code, _params_from(params), text) if code else Message(text=text)


def _params_from(params: Any) -> dict[str, Param]:
    if not isinstance(params, dict):
        raise ValueError("message parameters are not an object")  # noqa: TRY004 - data, not a caller's mistake
    return {str(name): _param_from(value) for name, value in params.items()}


def _param_from(value: Any) -> Param:
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, list):
        return tuple(_param_from(one) for one in value)
    if isinstance(value, dict) and isinstance(value.get("code"), str):
        return Message(value["code"], _params_from(value.get("params")))
    raise ValueError("a message parameter is not a text, a number, a list or a message")
