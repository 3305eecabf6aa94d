"""Turns pydantic's errors into problems of the settings file, without secrets."""

import difflib
import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from statemachine.core.messages import Message, message, verbatim
from statemachine.settings.model import Settings
from statemachine.settings.problems import KeyPath, NotAllowedError, Problem, dotted, shortened
from statemachine.settings.source import SettingsSource

_KEY_MARK = "[key]"  # pydantic's last step if the key of an object is invalid, not its value
_ALLOWED = {
    "model_type": message("settings.object"),
    "model_attributes_type": message("settings.object"),
    "dict_type": message("settings.object"),
    "tuple_type": message("settings.list"),
    "path_type": message("settings.text_path"),
    "string_type": message("settings.text"),
    "string_unicode": message("settings.utf8_text"),
    "string_too_short": message("settings.not_empty"),
    "int_type": message("settings.whole_number"),
    "float_type": message("settings.number"),
    "finite_number": message("settings.finite_number"),
    "bool_type": message("settings.true_or_false"),
    "bool_parsing": message("settings.true_or_false"),
}
MAX_EXPLAINED = 1_000
"""Each takes some 100 µs, and only the first ones are shown."""

_CHOICE = re.compile(r", | or ")


def explain(error: ValidationError, source: SettingsSource) -> list[Problem]:
    """Return one problem for each of pydantic's errors, up to MAX_EXPLAINED."""
    return [_problem(details, source) for details in error.errors(include_url=False)[:MAX_EXPLAINED]]


def _problem(details: ErrorDetails, source: SettingsSource) -> Problem:
    path, kind = details["loc"], details["type"]
    if kind == "extra_forbidden":
        return Problem(dotted(source.path_in_file(path)), message("settings.unknown_key"), _suggestion(path))
    if kind == "missing":
        return _problem_of_missing(source.path_in_file(path))
    if kind == "union_tag_not_found":
        return _problem_of_missing(source.path_in_file((*path, "kind")))
    if kind == "union_tag_invalid":
        kinds = _CHOICE.split(details["ctx"]["expected_tags"])
        return source.problem((*path, "kind"), message("settings.one_of", values=kinds))
    if path[-1:] == (_KEY_MARK,):
        return source.problem(path[:-1], _allowed(details), found=message("settings.this_name"))
    return source.problem(path, _allowed(details))


def _problem_of_missing(path: KeyPath) -> Problem:
    return Problem(dotted(path), message("settings.missing_key"), message("settings.add_key"))


def _allowed(details: ErrorDetails) -> Message:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "value_error" and isinstance(context["error"], NotAllowedError):
        return context["error"].message
    if kind in {"literal_error", "enum"}:
        return message("settings.one_of", values=_CHOICE.split(context["expected"]))
    return _ALLOWED.get(kind) or _limit(kind, context) or verbatim(details["msg"])


def _limit(kind: str, context: dict[str, Any]) -> Message | None:
    """Return the limit that a number, a text or a list exceeds. pydantic calls a secret "Value"."""
    if kind == "greater_than_equal":
        return message("settings.at_least", limit=context["ge"])
    if kind == "less_than_equal":
        return message("settings.at_most", limit=context["le"])
    if kind == "string_too_long" or (kind == "too_long" and context["field_type"] == "Value"):
        return message("settings.max_characters", count=context["max_length"])
    return message("settings.max_items", count=context["max_length"]) if kind == "too_long" else None


def _suggestion(path: KeyPath) -> Message:
    """Return the key that was probably meant, or all known keys."""
    keys = _known_keys(path)
    close = difflib.get_close_matches(shortened(str(path[-1])), keys, n=1)
    return message("settings.did_you_mean", key=close[0]) if close else message("settings.known_keys", keys=keys)


def _known_keys(path: KeyPath) -> list[str]:
    """Return the keys of the section that holds the last step of `path`."""
    models: list[type[BaseModel]] = [Settings]
    for part in path[:-1]:
        field = models[0].model_fields.get(str(part))  # none for list indices and the names of channels
        inner = list(_models_in(field.annotation)) if field is not None else _of_kind(models, part)
        models = inner or models
    return [field.alias or name for name, field in models[0].model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that a field holds, directly, optionally, in a list, or by their kinds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _of_kind(models: list[type[BaseModel]], kind: object) -> list[type[BaseModel]]:
    """Return the one of several sections that has this kind."""
    fields = ((model, model.model_fields.get("kind")) for model in models)
    return [model for model, field in fields if field is not None and kind in get_args(field.annotation)]
