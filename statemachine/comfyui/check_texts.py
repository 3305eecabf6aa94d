"""The texts in which servers say what their cache holds.

Both parsers raise NotUnderstoodError for anything else: what is not understood is unknown, never cold.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from statemachine.comfyui.errors import NotUnderstoodError
from statemachine.core.messages import message

LOADED = "缓存已加载"
MISSING = "未查询到缓存"
BY_ITSELF = re.compile(r"已经自动(在后台)?执行缓存模型工作流")
SEPARATORS = re.compile(r"[,，、]")
NO_KEY = re.compile(r"[。；;\n]|执行|后台|工作流")
"""What keys never contain, and sentences that we do not know may: those are not understood."""

END_MARKS = " \t\r\n。.!！"
MAX_TEXT = 65_536
"""Characters. An honest answer has a few hundred."""

STRING_SECTION = "[String Key Caches]"


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """What a check API said. Some name no keys, so `missing` may be empty although something is."""

    loaded: bool
    missing: tuple[str, ...]
    auto_executing: bool


def parse_text(text: str) -> TextAnswer:
    """The answer of a check API that speaks Chinese, plain or wrapped in JSON.

    `缓存已加载。` all there; `未查询到缓存K1,K2，已经自动在后台执行缓存模型工作流。` missing, and the server has
    started its own workflow; the first half alone: missing, nothing started. `,` and `，` both separate keys.
    A public fork of Inspire-Pack (dzy1128/ComfyUI-Inspire-Pack-Cache) names no keys and leaves out 在后台.
    """
    for candidate in (text, *_strings(text)) if len(text) <= MAX_TEXT else ():
        answer = _read(candidate.strip(END_MARKS))
        if answer is not None:
            return answer
    raise NotUnderstoodError(message("check_not_understood"), 200, text)


def _read(text: str) -> TextAnswer | None:
    """The answer that this sentence is, None where it is another."""
    if text == LOADED:
        return TextAnswer(loaded=True, missing=(), auto_executing=False)
    if not text.startswith(MISSING):
        return None
    pieces = [piece.strip() for piece in SEPARATORS.split(text.removeprefix(MISSING).lstrip(" :："))]
    by_itself = BY_ITSELF.fullmatch(pieces[-1]) is not None
    keys = dict.fromkeys(piece for piece in (pieces[:-1] if by_itself else pieces) if piece)
    if any(NO_KEY.search(key) for key in keys):
        return None
    return TextAnswer(loaded=False, missing=tuple(keys), auto_executing=by_itself)


def _strings(text: str) -> list[str]:
    """Every text within a JSON document, [] where it is none."""
    try:
        return list(_texts_in(orjson.loads(text)))
    except (orjson.JSONDecodeError, RecursionError):
        return []


def _texts_in(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(inner)


@dataclass(frozen=True, slots=True)
class InspireList:
    """The lines `key: tag` of the plug-in's string keys."""

    lines: tuple[str, ...]

    def missing(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Those of the keys that are not listed. A key may itself contain a colon, so lines are compared, not split."""
        return tuple(key for key in keys if not any(line.startswith(f"{key}: ") for line in self.lines))


def parse_inspire_list(text: str) -> InspireList:
    """The answer of GET /inspire/cache/list: sections headed `---- [Name] ----`, of which the string keys count."""
    lines: list[str] = []
    found = inside = False
    for line in text.splitlines():
        if line.startswith("----"):
            inside = STRING_SECTION in line
            found = found or inside
        elif inside and line.strip():
            lines.append(line.strip())
    if not found:
        raise NotUnderstoodError(message("not_inspire_list"), 200, text)
    return InspireList(tuple(lines))
