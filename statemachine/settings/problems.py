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

MAX_SHOWN_PROBLEMS = 50
MAX_SHOWN_CHARACTERS = 80
MAX_SHOWN_BITS = 256
MASK = "a secret (not shown)"
SECRET_KEYS = frozenset({"token", "headers", "channels"})

KeyPath = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")
_CREDENTIALS = re.compile(r"(?<=//).*@|(?<=\?).*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One error. `path` is like `servers[2].cache_check.kind`, or file:line:column for invalid JSON."""

    path: str
    fault: str
    remedy: str

    @override
    def __str__(self) -> str:
        return f"{self.path}: {self.fault}; {self.remedy}"


def wrong_value(path: str, found: str, allowed: str) -> Problem:
    """Return the problem of a value that is not allowed."""
    return Problem(path, f"found {found}", f"allowed: {allowed}")


class SettingsError(ValueError):
    """The settings are invalid. `problems` is never empty; the text lists them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    @property
    def summary(self) -> str:
        """All problems on one line."""
        return "; ".join(str(problem) for problem in self.problems)

    @override
    def __str__(self) -> str:
        count = len(self.problems)
        lines = [f"the settings have {count} problem{'s' if count > 1 else ''}:"]
        lines += [f"  - {problem}" for problem in self.problems[:MAX_SHOWN_PROBLEMS]]
        if count > MAX_SHOWN_PROBLEMS:
            lines.append(f"  … and {count - MAX_SHOWN_PROBLEMS} more")
        return "\n".join(lines)


class SettingsFileError(SettingsError):
    """The settings file does not exist or cannot be read."""

    def __init__(self, path: Path, error: OSError) -> None:
        cause = os_error_text(error).lower()
        super().__init__((Problem(str(path), cause, "pass the path of a readable settings file"),))
        self._summary = f"{path} not found" if isinstance(error, FileNotFoundError) else f"cannot read {path}: {cause}"

    @property
    @override
    def summary(self) -> str:
        return self._summary

    @override
    def __str__(self) -> str:
        return f"{self._summary}; pass --settings FILE or try `comfywarm serve --demo`"


def os_error_text(error: OSError) -> str:
    """Return the system's message without its number."""
    return error.strerror or type(error).__name__


def dotted(path: KeyPath) -> str:
    """Return a key path as text: `servers[2].headers.Authorization`; keys that are not plain are quoted."""
    text = "".join(_step(part) for part in path)
    return text.removeprefix(".") or "(the whole file)"


def describe(value: object, *, secret: bool = False) -> str:
    """Describe a value, without the contents of objects and lists and without secret parts of URLs."""
    if secret:
        return MASK
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return shortened(repr(_CREDENTIALS.sub("***", value)))
    return _describe_scalar(value)


def _describe_scalar(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS:  # repr() raises for the largest integers
        return "a very large number"
    return shortened(repr(value)) if isinstance(value, int | float) else f"a {type(value).__name__}"


def shortened(text: str) -> str:
    """Return the text, cut to a length at which one long value does not hide the other problems."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN_KEY.fullmatch(str(part)) else f"[{shortened(repr(part))}]"
