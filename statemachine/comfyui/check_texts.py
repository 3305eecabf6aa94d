"""The texts in which servers say what their cache holds.

Both parsers raise NotUnderstoodError for anything else: what is not understood is unknown, never cold.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from statemachine.comfyui.errors import NotUnderstoodError

LOADED = re.compile(r"\s*缓存已加载\s*[。.!！]?\s*")
MISSING = re.compile(
    r"\s*未查询到缓存\s*[:：]?\s*(?P<keys>.*?)[,，;；\s]*"
    r"(?P<itself>已经自动(在后台)?执行缓存模型工作流)?\s*[。.!！]?\s*",
    re.DOTALL,
)
SEPARATORS = re.compile(r"[,，、]")
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
    for candidate in (text, *_strings(text)):
        if LOADED.fullmatch(candidate):
            return TextAnswer(loaded=True, missing=(), auto_executing=False)
        if match := MISSING.fullmatch(candidate):
            keys = tuple(dict.fromkeys(key.strip() for key in SEPARATORS.split(match["keys"]) if key.strip()))
            return TextAnswer(loaded=False, missing=keys, auto_executing=match["itself"] is not None)
    raise NotUnderstoodError("the cache check's answer is not understood", 200, text)


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
        return tuple(key for key in keys if not any(line.startswith(f"{key}:") for line in self.lines))


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
        raise NotUnderstoodError("this is not Inspire-Pack's cache list", 200, text)
    return InspireList(tuple(lines))
