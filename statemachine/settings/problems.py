"""Errors in a settings file, with what the operator needs to fix them.

SettingsError (ValueError)   the only exception that `statemachine.settings` raises
    problems                 one `Problem` for each error, all of them at once
SettingsFileError            the file does not exist or cannot be read
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from statemachine.core.messages import Message, Param, joined, message, verbatim
from statemachine.i18n.render import MessageError, render
from statemachine.i18n.text import Language

MAX_SHOWN_PROBLEMS = 50
MAX_SHOWN_CHARACTERS = 80
MAX_SHOWN_BITS = 256
SECRET_KEYS = frozenset({"token", "tokens", "headers", "channels"})

KeyPath = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_CREDENTIALS = re.compile(r"(?<=//).*@|(?<=\?).*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One error. `path` is like `servers[2].cache_check.kind`, or file:line:column for invalid JSON."""

    path: str
    fault: Message
    remedy: Message

    @property
    def message(self) -> Message:
        """The problem as one message."""
        path = self.path or message("settings.whole_file")
        return message("settings.problem", path=path, fault=self.fault, remedy=self.remedy)

    @override
    def __str__(self) -> str:
        return render(self.message, "en")


def wrong_value(path: str, found: Param, allowed: Message) -> Problem:
    """Return the problem of a value that is not allowed."""
    return Problem(path, message("settings.found", value=found), message("settings.allowed", allowed=allowed))


class NotAllowedError(MessageError, ValueError):
    """A value is not allowed. The message describes what is allowed."""


class SettingsError(ValueError):
    """The settings are invalid. `problems` is never empty; the text lists them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    @property
    def message(self) -> Message:
        """The first problems as one message."""
        return joined([problem.message for problem in self.problems])

    def text(self, language: Language) -> str:
        """Return the list of problems, one on each line."""
        count = len(self.problems)
        head = message("settings.one_problem") if count == 1 else message("settings.problems", count=count)
        lines = [f"  - {render(problem.message, language)}" for problem in self.problems[:MAX_SHOWN_PROBLEMS]]
        if count > MAX_SHOWN_PROBLEMS:
            more = message("settings.more_problems", count=count - MAX_SHOWN_PROBLEMS)
            lines.append(f"  {render(more, language)}")
        return "\n".join([render(head, language), *lines])

    @override
    def __str__(self) -> str:
        return self.text("en")


class SettingsFileError(SettingsError):
    """The settings file does not exist or cannot be read."""

    def __init__(self, path: Path, error: OSError) -> None:
        cause = os_error_text(error).lower()
        super().__init__((Problem(str(path), verbatim(cause), message("settings.readable_file")),))
        unreadable = message("settings.file_unreadable", path=str(path), cause=cause)
        not_found = message("settings.file_not_found", path=str(path))
        self._fault = not_found if isinstance(error, FileNotFoundError) else unreadable

    @property
    @override
    def message(self) -> Message:
        return self._fault

    @override
    def text(self, language: Language) -> str:
        return render(message("settings.file_advice", fault=self._fault), language)


def os_error_text(error: OSError) -> str:
    """Return the system's message without its number."""
    return error.strerror or type(error).__name__


def dotted(path: KeyPath) -> str:
    """Return a key path as text: `servers[2].headers.Authorization`; other keys are quoted."""
    text = "".join(_step(part) for part in path)
    return text.removeprefix(".")


def describe(value: object, *, secret: bool = False) -> Param:
    """Describe a value, without the contents of objects and lists and without secret parts of URLs."""
    if secret:
        return message("settings.secret")
    if isinstance(value, Mapping):
        return message("settings.object")
    if isinstance(value, list | tuple):
        return message("settings.list_of", count=len(value))
    if isinstance(value, str):
        return shortened(repr(_CREDENTIALS.sub("***", value)))
    return _describe_scalar(value)


def _describe_scalar(value: object) -> Param:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS:  # repr() raises for the largest integers
        return message("settings.very_large")
    return shortened(repr(value)) if isinstance(value, int | float) else type(value).__name__


def shortened(text: str) -> str:
    """Return the text, cut to a length at which one long value does not hide the other problems."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN_KEY.fullmatch(str(part)) else f"[{shortened(repr(part))}]"
