"""The decoded JSON of a settings file with its environment variables inserted.

`${NAME}` in a string is replaced by the environment variable NAME; `$${NAME}` is the literal text `${NAME}`.
The paths of replaced values are recorded, because errors must not show them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from statemachine.core.messages import Message, Param, message
from statemachine.settings.problems import SECRET_KEYS, KeyPath, Problem, describe, dotted, wrong_value

MAX_DEPTH = 16  # settings nest five levels deep; unlimited nesting would exhaust the stack

_REFERENCE = re.compile(r"\$(?P<escape>\$)?\{(?P<name>[^}]*)(?P<end>\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class SettingsSource:
    """The expanded data of a settings file, and which of its values came from the environment."""

    data: object
    secret_paths: frozenset[KeyPath]

    def problem(self, path: KeyPath, allowed: Message, *, found: Param | None = None) -> Problem:
        """Return the problem of a wrong value; `found` describes it if the value itself is not the fault."""
        path = self.path_in_file(path)
        value = self._value(path)
        return wrong_value(dotted(path), found or describe(value, secret=self.is_secret(path)), allowed)

    def is_secret(self, path: KeyPath) -> bool:
        """Whether the value at `path` came from the environment or is secret by its key."""
        prefixes = {path[:length] for length in range(len(path) + 1)}
        return not SECRET_KEYS.isdisjoint(path) or not self.secret_paths.isdisjoint(prefixes)

    def path_in_file(self, path: KeyPath) -> KeyPath:
        """Return the path as in the file, where a plain string has no key `url`, and no key is an object's kind."""
        steps: KeyPath = ()
        for part in path:
            value = self._value(steps)
            is_kind = isinstance(value, Mapping) and part not in value and value.get("kind") == part
            steps = steps if is_kind else (*steps, part)
        is_short_form = len(steps) > 1 and isinstance(self._value(steps[:-1]), str)
        return steps[:-1] if is_short_form else steps

    def _value(self, path: KeyPath) -> object:
        value: Any = self.data
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def expand_environment(data: object, environ: Mapping[str, str]) -> tuple[SettingsSource, list[Problem]]:
    """Return the data with environment variables inserted, and the problems of the references."""
    expansion = _Expansion(environ)
    expanded = expansion.expand(data)
    return SettingsSource(expanded, frozenset(expansion.secret_paths)), expansion.problems


def references(value: object) -> Iterator[str]:
    """Yield the names of the environment variables that the strings of the data refer to."""
    if isinstance(value, str):
        yield from (found["name"] for found in _REFERENCE.finditer(value) if not found["escape"])
    elif isinstance(value, dict):
        yield from (name for inner in value.values() for name in references(inner))
    elif isinstance(value, list):
        yield from (name for inner in value for name in references(inner))


@dataclass(slots=True)
class _Expansion:
    """One pass over the data."""

    environ: Mapping[str, str]
    secret_paths: set[KeyPath] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def expand(self, value: object, path: KeyPath = ()) -> object:
        """Return a copy of `value` with every reference replaced; keys and faulty references stay as they are."""
        if len(path) > MAX_DEPTH:
            allowed = message("settings.max_depth", depth=MAX_DEPTH)
            self.problems.append(wrong_value(dotted(path), message("settings.deep_nesting"), allowed))
            return None
        if isinstance(value, str):
            return _REFERENCE.sub(lambda reference: self._replace(reference, path), value)
        if isinstance(value, dict):
            return {key: self.expand(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.expand(inner, (*path, place)) for place, inner in enumerate(value)]
        return value

    def _replace(self, reference: re.Match[str], path: KeyPath) -> str:
        text, name = reference[0], reference["name"]
        if reference["escape"]:
            return text[1:]
        if not (reference["end"] and _NAME.fullmatch(name)):
            allowed = message("settings.reference", reference="${NAME}")
            self.problems.append(wrong_value(dotted(path), repr(text), allowed))
            return text
        if name not in self.environ:
            fault = message("settings.unset_variable", name=name)
            self.problems.append(Problem(dotted(path), fault, message("settings.set_variable", text=text)))
            return text
        self.secret_paths.add(path)
        return self.environ[name]
