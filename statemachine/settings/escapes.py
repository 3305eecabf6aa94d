"""Escapes that JSON, URLs, HTML and programs' logs put in place of a character, in bytes of UTF-8."""

import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from html.entities import html5
from operator import attrgetter
from typing import NamedTuple

MAX_ESCAPES = 30_000
"""Escapes of a text whose places are noted: about 50 ms of work. The rest of such a text counts as not readable."""

STARTS = ("\\", "%", "&")
"""Every escape begins with one of these."""

_BACKSLASH = r"""\\(?:
    u(?:{pair}(?P<unit>{unit})|\{{0*(?P<braced>{hex}{{1,6}})\}}) | U(?P<long>{long}) | x(?P<octet>{octet}) |
    (?P<octal>{octal}) | (?P<itself>[\\{plain}])
)"""
_PAIR = r"(?P<high>[dD][89abAB]{hex}{{2}})\\u(?P<low>[dD][c-fC-F]{hex}{{2}})|"
_PERCENT = r"%(?:(?P<percent>{octet})|u(?P<wide>{unit}))"
_AMPERSAND = r"""&(?:
    \#[xX]0*(?P<hex>{hex}{{1,6}}+){end}|\#0*(?P<decimal>[0-9]{{1,7}}+){end}|
    (?P<name>[A-Za-z]{{2,31}});|(?P<open>amp|AMP|lt|LT|gt|GT|quot|QUOT)(?!{semicolon})
)"""
LONGEST_PARTIAL = 12
_PARTIAL = re.compile(rb"[\\%&][A-Za-z0-9#{]*\Z")
_SEMICOLON = r"""(?:
    \\(?:u003[bB]|U0000003[bB]|u\{0*3[bB]\}|x3[bB]|073) | %(?:25)*(?:3[bB]|u003[bB]) |
    &(?:\#0*59|\#[xX]0*3[bB]|semi)
)"""
_END = rf"(?:;|(?!{_SEMICOLON}))"
"""The semicolon of an entity may be missing, but not where it is only escaped: it is replaced first."""
_HEX = "[0-9a-fA-F]"
_ASCII_OCTET = f"[0-7]{_HEX}"


class Escapes(NamedTuple):
    """Which escapes to replace: those of ASCII or of all characters, and backslashes before which characters."""

    only_ascii: bool = False
    plain: str = "/\"'"

    @classmethod
    def in_any(cls, words: Collection[bytes]) -> "Escapes":
        """Return the escapes that may be in one of these words."""
        plain = "".join(one for one in cls().plain if any(one.encode() in word for word in words))
        return cls(all(word.isascii() for word in words), plain)


class Token(NamedTuple):
    """An escape: where its character begins in the decoded text, and its place in the source."""

    at: int
    size: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unescaped:
    """A text without one level of escapes. `read_to` is where reading ended in the source."""

    data: bytes
    tokens: list[Token]
    read_to: int

    def source_of(self, start: int, end: int) -> tuple[int, int]:
        """Return the place in the source that became `data[start:end]`."""
        return self._place(bisect_right(self.tokens, start, key=_AT) - 1, start, 0), self._place(
            bisect_left(self.tokens, end, key=_AT) - 1, end, 1
        )

    def _place(self, index: int, at: int, is_end: int) -> int:
        if index < 0:
            return at
        token = self.tokens[index]
        beyond = at - token.at - token.size
        if beyond >= 0:
            return token.end + beyond
        return token.end if is_end else token.start


_AT = attrgetter("at")


def unescape(data: bytes, escapes: Escapes, limit: int = MAX_ESCAPES) -> Unescaped:
    """Replace one level of escapes, up to `limit`."""
    pieces, tokens, read_to, size = list[bytes](), list[Token](), 0, 0
    for found in _pattern(escapes).finditer(data):
        if (character := _character(found)) is None:
            continue
        if len(tokens) == limit:
            return Unescaped(b"".join(pieces), tokens, read_to)
        plain = data[read_to : found.start()]
        size += len(plain)
        tokens.append(Token(size, len(character), found.start(), found.end()))
        pieces += (plain, character)
        size += len(character)
        read_to = found.end()
    pieces.append(data[read_to:])
    return Unescaped(b"".join(pieces), tokens, len(data))


def unescaped(data: bytes, escapes: Escapes, limit: int) -> tuple[bytes, int]:
    """Return the data without one level of escapes, up to `limit`, and their number; faster than `unescape`."""
    return _pattern(escapes).subn(_replaced, data, limit)


def _replaced(found: re.Match[bytes]) -> bytes:
    character = _character(found)
    return found[0] if character is None else character


def partial_escape(data: bytes) -> int:
    """Return where an escape begins that the end of the data may have cut, else the length."""
    found = _PARTIAL.search(data, max(0, len(data) - LONGEST_PARTIAL))
    return found.start() if found else len(data)


@lru_cache
def _pattern(escapes: Escapes) -> re.Pattern[bytes]:
    parts = {"unit": f"{_HEX}{{4}}", "octet": f"{_HEX}{{2}}", "octal": "[0-3][0-7]{2}", "pair": _PAIR.format(hex=_HEX)}
    if escapes.only_ascii:
        parts = {"unit": f"00{_ASCII_OCTET}", "octet": _ASCII_OCTET, "octal": "[01][0-7]{2}", "pair": ""}
    long = f"0000{parts['unit']}" if escapes.only_ascii else f"{_HEX}{{8}}"
    source = "|".join((_BACKSLASH, _PERCENT, _AMPERSAND))
    source = source.format(hex=_HEX, long=long, plain=escapes.plain, end=_END, semicolon=_SEMICOLON, **parts)
    return re.compile(source.encode(), re.VERBOSE)


def _character(found: re.Match[bytes]) -> bytes | None:
    """Return the character of an escape, None if there is none."""
    kind = found.lastgroup or ""
    text = found[kind]
    if kind == "itself":
        return text
    if kind in {"octet", "percent"}:
        return bytes((int(text, 16),))
    if kind == "octal":
        return bytes((int(text, 8),))
    if kind == "low":
        return _encoded(0x10000 + ((int(found["high"], 16) - 0xD800) << 10) + (int(text, 16) - 0xDC00))
    if kind in {"name", "open"}:
        return html5[name].encode() if (name := f"{text.decode()};") in html5 else None
    return _encoded(int(text, 10 if kind == "decimal" else 16))


def _encoded(code: int) -> bytes | None:
    return chr(code).encode("utf-8", "surrogatepass") if code <= sys.maxunicode else None
