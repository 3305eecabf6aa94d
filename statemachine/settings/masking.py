"""Masks secrets of the settings in answers of servers and in the log.

A proxy's error page may quote the request's headers, for example, and a library's exception a whole URL.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

from statemachine.settings.escapes import (
    MAX_ESCAPES,
    STARTS,
    Escapes,
    Unescaped,
    partial_escape,
    unescape,
    unescaped,
)

SHORTEST = 8
"""Characters. Shorter values may be part of ordinary text, and masking them would garble it."""

LEVELS = 4
"""How often a character of a secret may be escaped: twice in the settings' own form and twice by those who quote it."""

SHORTEST_BEGINNING = 6
"""Characters of a secret's beginning that are masked at the end of a text that was cut."""

MOST_EXAMINED = 300_000
"""Escapes of a text in which a secret is looked for, without its place: about 0.2 s of work."""

_SHOWN = b"***"
_STARTS = tuple(start.encode() for start in STARTS)
_PLAIN = (str, int, float, type(None))
"""Types without secrets. Most values of a large fleet's settings have them; visiting each took 0.1 s."""


class Mask:
    """Replaces each secret, and the secret parts of header values and URLs, with three asterisks.

    A secret is also found where some or all of its characters are escaped, up to LEVELS times each, as in JSON, URLs,
    HTML or logs. Escapes right before or after a secret that is escaped itself may hide it.
    """

    __slots__ = ("_escapes", "_folds", "_texts", "_words")

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        words = {form for secret in secrets for part in _with_parts(secret.get_secret_value()) for form in _forms(part)}
        self._texts = tuple(word.decode("utf-8", "surrogatepass") for word in words)
        self._escapes = Escapes.in_any(words)
        self._folds = any(b" " in word for word in words)
        self._words = tuple(self._folded(word) for word in words)

    def __bool__(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self._words)

    def text(self, text: str, *, is_cut: bool = False) -> str:
        """Return the text without secrets; without the beginning of one at the end of a text that was cut."""
        if not (self._texts and (is_cut or self._may_have_any(text))):
            return text
        return self.data(text.encode("utf-8", "surrogatepass"), is_cut=is_cut).decode("utf-8", "surrogatepass")

    def data(self, data: bytes, *, is_cut: bool = False) -> bytes:
        """Return the bytes, in UTF-8 or any other form, without secrets, as `text` does."""
        return _hidden(data, self._secrets_in(data, is_cut=is_cut)) if self._words else data

    def _may_have_any(self, text: str) -> bool:
        if any(start in text for start in STARTS) or (self._folds and "+" in text):
            return True
        return any(word in text for word in self._texts)

    def _secrets_in(self, data: bytes, *, is_cut: bool) -> list[tuple[int, int]]:
        """Return the places of secrets, and of what has too many escapes to be searched."""
        find = self._words_and_beginning_in if is_cut else self._words_in
        spans, levels, left = list(find(data)), list[Unescaped](), MAX_ESCAPES
        if data.count(b"\\") + data.count(b"%") + data.count(b"&") > MAX_ESCAPES and not self._is_anywhere_in(data):
            return spans
        while len(levels) < LEVELS and any(start in data for start in _STARTS):
            levels.append(unescape(data, self._escapes, left))
            tokens, read_to = levels[-1].tokens, levels[-1].read_to
            unread = [(read_to, len(data))] if read_to < len(data) else []
            spans += [_source(span, levels[:-1]) for span in unread]
            if not tokens:
                break
            left -= len(tokens)
            data = levels[-1].data
            spans += [_source(span, levels) for span in find(data)]
        return spans

    def _is_anywhere_in(self, data: bytes) -> bool:
        """Return whether any secret is in the data, or it has too many escapes to be sure. Positions take longer."""
        left = MOST_EXAMINED
        for _ in range(LEVELS):
            data, replaced = unescaped(data, self._escapes, left)
            left -= replaced
            if left <= 0 or any(True for _ in self._words_in(data)):
                return True
            if not replaced:
                break
        return False

    def _words_in(self, data: bytes) -> Iterator[tuple[int, int]]:
        data = self._folded(data)
        for word in self._words:
            start = data.find(word)
            while start >= 0:
                yield start, start + len(word)
                start = data.find(word, start + 1)

    def _words_and_beginning_in(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield the places of words, and that of the beginning of one at the end of the data."""
        yield from self._words_in(data)
        folded = self._folded(data)
        for end in (len(data), partial_escape(folded)):
            tail = folded[:end]
            begun = max((_overlap(tail, word) for word in self._words), default=0)
            if begun >= SHORTEST_BEGINNING:
                yield end - begun, len(data)

    def _folded(self, data: bytes) -> bytes:
        """Return the data with the plus signs that stand for spaces in form data."""
        return data.replace(b"+", b" ") if self._folds else data


def _overlap(data: bytes, word: bytes) -> int:
    """Return how many bytes of the word's beginning the data ends with."""
    longest = min(len(data), len(word) - 1)
    return next((size for size in range(longest, SHORTEST_BEGINNING - 1, -1) if data.endswith(word[:size])), 0)


def _source(span: tuple[int, int], levels: Sequence[Unescaped]) -> tuple[int, int]:
    for level in reversed(levels):
        span = level.source_of(*span)
    return span


def _hidden(data: bytes, spans: list[tuple[int, int]]) -> bytes:
    """Return the data with one mark in place of each group of overlapping spans."""
    pieces, end = list[bytes](), 0
    for start, stop in sorted(spans):
        if start >= end:
            pieces += (data[end:start], _SHOWN)
        end = max(end, stop)
    return b"".join((*pieces, data[end:]))


def _forms(part: str) -> Iterator[bytes]:
    """Yield the secret as it is and without its escapes."""
    if len(part) < SHORTEST:
        return
    data = part.encode("utf-8", "surrogatepass")
    yield data
    for _ in range(LEVELS):
        data = unescape(data, Escapes()).data
    if len(data) >= SHORTEST:
        yield data


def secrets_in(value: object) -> Iterator[SecretStr]:
    """Yield every secret in a section of the settings, or in all of them."""
    if isinstance(value, SecretStr):
        yield value
    for inner in _children(value):
        if not isinstance(inner, _PLAIN):
            yield from secrets_in(inner)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, BaseModel):
        return [inner for _, inner in value]
    if isinstance(value, list | tuple):
        return value
    return value.values() if isinstance(value, Mapping) else ()


def _with_parts(secret: str) -> frozenset[str]:
    return frozenset((secret, *_parts(secret)))


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret parts.

    `Bearer TOKEN` → TOKEN, `Basic …` → user:password and password, `a=b; c=d` → b and d, a URL → path and login,
    which `Basic` has in base64.
    """
    scheme, _, credentials = secret.partition(" ")
    yield credentials
    if scheme.lower() == "basic":
        pair = _decoded(credentials)
        yield from (pair, pair.partition(":")[2])
    yield secret.partition("://")[2].partition("/")[2]
    login = secret.partition("://")[2].rpartition("@")[0]
    yield from (part for text in (login, unquote(login)) for part in (text, text.partition(":")[2]))
    yield base64.b64encode(unquote(login).encode()).decode().rstrip("=")
    yield from (cookie.partition("=")[2].strip() for cookie in secret.split(";"))


def _decoded(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
