"""Keeps secrets out of the settings file: `${NAME}` in any string is replaced from the environment.

`$${NAME}` is the text `${NAME}` itself.
It remembers where it put something in, because what came from the environment must never be shown again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from statemachine.settings.problems import KeyPath, Problem, dotted

MAX_DEPTH = 16  # settings nest five deep; without a bound a hostile file exhausts the stack

_REFERENCE = re.compile(r"\$(?P<escape>\$)?\{(?P<name>[^}]*)(?P<end>\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class EnvironmentExpansion:
    """One pass over the data of a settings file; `data` itself is left alone."""

    environ: Mapping[str, str]
    secret_paths: set[KeyPath] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def expand(self, value: object, path: KeyPath = ()) -> object:
        """`value` with every reference replaced, except in keys; a faulty one stays as it was written."""
        if len(path) > MAX_DEPTH:
            self._report(path, "more nesting", f"at most {MAX_DEPTH} levels of lists and objects")
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
            self._report(path, repr(text), "${NAME} with a variable's name in ASCII, or $${ for the text ${ itself")
            return text
        if name not in self.environ:
            self._report(
                path,
                f"{text}, a variable that is not set",
                f"set {name}, or write ${text} for the text itself",
            )
            return text
        self.secret_paths.add(path)
        return self.environ[name]

    def _report(self, path: KeyPath, found: str, allowed: str) -> None:
        self.problems.append(Problem(dotted(path), found, allowed))
