"""What is wrong with a settings file, so that its author can put it right.

SettingsError (ValueError)   the only exception that leaves `statemachine.settings`
    problems                 one `Problem` for each fault, all of them at once
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
    """One fault. `path` is like `servers[2].cache_check.kind`; file:line:column where the file is no JSON."""

    path: str
    found: str
    allowed: str

    @override
    def __str__(self) -> str:
        return f"{self.path}: found {self.found}; allowed: {self.allowed}"


class SettingsError(ValueError):
    """The settings cannot be used. `problems` is never empty; the text is a list for people."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(problems)
        self.problems = problems

    @override
    def __str__(self) -> str:
        count = len(self.problems)
        lines = [f"the settings have {count} problem{'s' if count > 1 else ''}:"]
        lines += [f"  - {problem}" for problem in self.problems[:MAX_SHOWN_PROBLEMS]]
        if count > MAX_SHOWN_PROBLEMS:
            lines.append(f"  … and {count - MAX_SHOWN_PROBLEMS} more")
        return "\n".join(lines)


class SettingsFileError(SettingsError):
    """The settings file does not exist or cannot be read. The text names the remedy."""

    def __init__(self, path: Path, error: OSError) -> None:
        cause = (error.strerror or type(error).__name__).lower()
        super().__init__((Problem(str(path), cause, "a readable settings file"),))
        self._sentence = f"{path} not found" if isinstance(error, FileNotFoundError) else f"cannot read {path}: {cause}"

    @override
    def __str__(self) -> str:
        return f"{self._sentence}; pass --settings FILE or try `comfywarm serve --demo`"


def dotted(path: KeyPath) -> str:
    """A key path for people: `servers[2].headers.Authorization`; keys that are not plain are quoted."""
    text = "".join(_step(part) for part in path)
    return text.removeprefix(".") or "(the whole file)"


def describe(value: object, *, secret: bool = False) -> str:
    """What was found. Never a secret, the inside of an object or a list, a URL's password or its query."""
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
    if isinstance(value, int) and value.bit_length() > MAX_SHOWN_BITS:  # repr() refuses the largest ones
        return "a very large number"
    return shortened(repr(value)) if isinstance(value, int | float) else f"a {type(value).__name__}"


def shortened(text: str) -> str:
    """Bounded, so that one absurd value does not hide the other problems."""
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[: MAX_SHOWN_CHARACTERS - 1] + "…"


def _step(part: str | int) -> str:
    if isinstance(part, int):
        return f"[{part}]"
    return f".{part}" if _PLAIN_KEY.fullmatch(str(part)) else f"[{shortened(repr(part))}]"
