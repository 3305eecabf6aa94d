"""From pydantic's errors to sentences for the author of the settings file, without any secret in them."""

import difflib
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from statemachine.settings.model import Settings
from statemachine.settings.problems import SECRET_KEYS, KeyPath, Problem, describe, dotted, shortened

_KEY_MARK = "[key]"  # pydantic's last step where the key of an object is at fault, and not its value
_ALLOWED = {
    "missing": "this key must be given",
    "model_type": "an object",
    "dict_type": "an object",
    "tuple_type": "a list",
    "path_type": "a path (text)",
    "string_type": "text",
    "string_unicode": "text that can be encoded in UTF-8",
    "int_type": "a whole number",
    "float_type": "a number",
}
_PREFIXES = (
    "Input should be ",
    "Value error, ",
    "String should have ",
    "Value should have ",
    "Tuple should have ",
)


@dataclass(frozen=True, slots=True)
class Written:
    """The settings as written, with the environment put in, and where it was put in."""

    data: object
    secret_paths: frozenset[KeyPath]

    def problem(self, path: KeyPath, allowed: str, *, found: str | None = None) -> Problem:
        """A problem at `path`; `found` where it is not simply the value that stands there."""
        path = self._as_written(path)
        value = self._value(path)
        return Problem(dotted(path), found or describe(value, secret=self.is_secret(path)), allowed)

    def is_secret(self, path: KeyPath) -> bool:
        """Whether the value at `path` came from the environment, or is secret wherever it came from."""
        prefixes = {path[:length] for length in range(len(path) + 1)}
        return not SECRET_KEYS.isdisjoint(path) or not self.secret_paths.isdisjoint(prefixes)

    def _as_written(self, path: KeyPath) -> KeyPath:
        """A server that is a plain string has no key `url` in the file."""
        is_short_form = len(path) > 1 and isinstance(self._value(path[:-1]), str)
        return path[:-1] if is_short_form else path

    def _value(self, path: KeyPath) -> object:
        value: Any = self.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def explain(error: ValidationError, written: Written) -> list[Problem]:
    """One problem for each of pydantic's."""
    return [_problem(details, written) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails, written: Written) -> Problem:
    path, kind = details["loc"], details["type"]
    if kind == "extra_forbidden":
        return written.problem(path, _suggestion(path), found="a key that does not exist")
    if path[-1:] == (_KEY_MARK,):
        return written.problem(path[:-1], _allowed(details), found="this name")
    return written.problem(path, _allowed(details), found="nothing" if kind == "missing" else None)


def _allowed(details: ErrorDetails) -> str:
    text = details["msg"]
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return _ALLOWED.get(details["type"], text)


def _suggestion(path: KeyPath) -> str:
    """The key that was probably meant, or all there are."""
    keys = _keys_beside(path)
    close = difflib.get_close_matches(shortened(str(path[-1])), keys, n=1)
    return f'did you mean "{close[0]}"?' if close else ", ".join(keys)


def _keys_beside(path: KeyPath) -> list[str]:
    """The keys that the model knows where the last step of `path` was tried."""
    model: type[BaseModel] = Settings
    for part in path[:-1]:
        if part in model.model_fields:  # the names of channels, for example, are nobody's fields
            model = _model_in(model.model_fields[str(part)].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, also as an optional one or as a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in get_args(annotation))
    return next((model for model in found if model is not None), None)
