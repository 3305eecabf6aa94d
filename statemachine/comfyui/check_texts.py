"""Parsers for the texts in which servers report their cache (docs/comfyui.md, "The cache checks").

Both parsers raise NotUnderstoodError for any other text, which makes the server `unknown` and never `cold`.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from statemachine.comfyui import server_json
from statemachine.comfyui.errors import NotUnderstoodError
from statemachine.core.messages import message

LOADED = "缓存已加载"
MISSING = "未查询到缓存"
AUTO_STARTED = re.compile(r"已经自动(在后台)?执行缓存模型工作流")
SEPARATORS = re.compile(r"[,，、]")
NOT_IN_KEYS = re.compile(r"[。；;\n\ufffd]|执行|后台|工作流")
"""Text that no key contains. A supposed key that contains it is part of an unknown sentence, or was not decoded."""

MAX_KEYS = 1_000
"""Keys that an answer names. A server has tens."""

MAX_OTHER_KEYS = 2_000
"""Characters of all named keys that no workflow of ours sets."""

END_MARKS = " \t\r\n。.!！"
MAX_TEXT = 65_536
"""Characters. A real answer has a few hundred."""

STRING_SECTION = "[String Key Caches]"
HEADING = re.compile(r"---- \[.+\] ----\s*")


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """The answer of a check API. `missing` may be empty although keys are missing, because some APIs name no keys."""

    loaded: bool
    missing: tuple[str, ...]
    auto_executing: bool


def parse_text(text: str) -> TextAnswer:
    """Parse the Chinese answer of a check API, as plain text or as a text within JSON.

    `缓存已加载。` means loaded; `未查询到缓存K1,K2。` means that these keys are missing; with
    `，已经自动在后台执行缓存模型工作流` at the end, the server has also started its own workflow. `,`, `，` and `、`
    separate keys. A public fork of Inspire-Pack (dzy1128/ComfyUI-Inspire-Pack-Cache) names no keys and omits 在后台.
    """
    for candidate in (text, *_strings(text)) if len(text) <= MAX_TEXT else ():
        answer = _parse_sentence(candidate.strip(END_MARKS))
        if answer is not None:
            return answer
    raise NotUnderstoodError(message("check_not_understood"), 200, text)


def bounded_keys(keys: Iterable[str], own: Collection[str]) -> tuple[str, ...]:
    """Return the keys of `own` and the first others, of which a server may name any: MAX_OTHER_KEYS characters."""
    kept, left = list[str](), MAX_OTHER_KEYS
    for key in keys:
        shown = key if key in own else key[:left]
        left -= 0 if key in own else len(shown)
        kept += [shown] if shown else []
    return tuple(kept)


def _parse_sentence(text: str) -> TextAnswer | None:
    """Return the answer, None if the sentence is not one of the three."""
    if text == LOADED:
        return TextAnswer(loaded=True, missing=(), auto_executing=False)
    if not text.startswith(MISSING):
        return None
    pieces = [piece.strip() for piece in SEPARATORS.split(text.removeprefix(MISSING).lstrip(" :："))]
    auto_started = AUTO_STARTED.fullmatch(pieces[-1]) is not None
    keys = dict.fromkeys(piece for piece in (pieces[:-1] if auto_started else pieces) if piece)
    if len(keys) > MAX_KEYS or any(NOT_IN_KEYS.search(key) for key in keys):
        return None
    return TextAnswer(loaded=False, missing=tuple(keys), auto_executing=auto_started)


def _strings(text: str) -> list[str]:
    """Return every text within a JSON document, [] if `text` is not JSON."""
    try:
        return list(_texts_in(server_json.loads(text)))
    except orjson.JSONDecodeError:
        return []


def _texts_in(value: Any) -> Iterable[str]:
    """Yield the texts in order. A generator for each level would take quadratic time for deep ones."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict | list):
            waiting += reversed(inner.values() if isinstance(inner, dict) else inner)


@dataclass(frozen=True, slots=True)
class InspireList:
    """The sorted lines `key: tag` of Inspire-Pack's string keys, and the same lines as a text that begins with LF."""

    lines: tuple[str, ...]
    section: str

    def missing(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Return the keys that are not listed. A key may contain ": ", so lines are compared with it, not split."""
        return tuple(key for key in keys if not self._lists(f"{key}: "))

    def _lists(self, beginning: str) -> bool:
        if "\n" in beginning:
            return f"\n{beginning}" in self.section
        at = bisect_left(self.lines, beginning)
        return at < len(self.lines) and self.lines[at].startswith(beginning)


def parse_inspire_list(text: str) -> InspireList:
    """Parse the answer of GET /inspire/cache/list, whose sections begin with `---- [Name] ----`.

    Only the section of the string keys is read (ltdrdata/ComfyUI-Inspire-Pack, inspire/backend_support.py). The pack
    writes keys as they are: with spaces at either end, line breaks other than LF, or dashes like those of a heading.
    """
    lines: list[str] = []
    found = inside = False
    for line in text.split("\n"):
        if HEADING.fullmatch(line):
            inside = STRING_SECTION in line
            found = found or inside
        elif inside:
            lines.append(line)
    if not found:
        raise NotUnderstoodError(message("not_inspire_list"), 200, text)
    return InspireList(tuple(sorted(filter(None, lines))), "\n".join(["", *lines]))
