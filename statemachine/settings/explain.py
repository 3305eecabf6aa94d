"""Turns pydantic's errors into problems of the settings file, without secrets."""

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from statemachine.settings.model import Settings
from statemachine.settings.problems import KeyPath, Problem, dotted, shortened
from statemachine.settings.source import SettingsSource

_KEY_MARK = "[key]"  # pydantic's last step if the key of an object is invalid, not its value
_ALLOWED = {
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


def explain(error: ValidationError, source: SettingsSource) -> list[Problem]:
    """Return one problem for each of pydantic's errors."""
    return [_problem(details, source) for details in error.errors(include_url=False)]


def _problem(details: ErrorDetails, source: SettingsSource) -> Problem:
    path, kind = details["loc"], details["type"]
    if kind == "extra_forbidden":
        return Problem(dotted(source.path_in_file(path)), "unknown key", _suggestion(path))
    if kind == "missing":
        return Problem(dotted(source.path_in_file(path)), "required key is missing", "add it")
    if path[-1:] == (_KEY_MARK,):
        return source.problem(path[:-1], _allowed(details), found="this name")
    return source.problem(path, _allowed(details))


def _allowed(details: ErrorDetails) -> str:
    text = details["msg"]
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    return _ALLOWED.get(details["type"], text)


def _suggestion(path: KeyPath) -> str:
    """Return the key that was probably meant, or all known keys."""
    keys = _known_keys(path)
    close = difflib.get_close_matches(shortened(str(path[-1])), keys, n=1)
    return f'did you mean "{close[0]}"?' if close else f"known keys: {', '.join(keys)}"


def _known_keys(path: KeyPath) -> list[str]:
    """Return the keys of the section that holds the last step of `path`."""
    model: type[BaseModel] = Settings
    for part in path[:-1]:
        if part in model.model_fields:  # not so for list indices and the names of channels
            model = _model_in(model.model_fields[str(part)].annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a field holds, directly, optionally or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(inner) for inner in get_args(annotation))
    return next((model for model in found if model is not None), None)
