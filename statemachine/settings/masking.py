"""Masks secrets of the settings in answers of servers and in the log.

A proxy's error page may quote the request's headers, for example, and a library's exception a whole URL.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote

from pydantic import BaseModel, SecretStr

SHORTEST = 8
"""Characters. Shorter values may be part of ordinary text, and masking them would garble it."""

_SHOWN = "***"
_PLAIN = (str, int, float, type(None))
"""Types without secrets. Most values of a large fleet's settings have them; visiting each took 0.1 s."""


class Mask:
    """Replaces each secret, and the secret parts of header values and URLs, with three asterisks."""

    __slots__ = ("_words",)

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        words = {word for secret in secrets for word in _spellings(secret.get_secret_value())}
        self._words = sorted((word for word in words if len(word) >= SHORTEST), key=len, reverse=True)

    def __bool__(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self._words)

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        for word in self._words:
            text = text.replace(word, _SHOWN)
        return text

    def data(self, data: bytes) -> bytes:
        """Return the bytes, in UTF-8 or any other form, without secrets."""
        for word in self._words:
            data = data.replace(word.encode(), _SHOWN.encode())
        return data


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


def _spellings(secret: str) -> Iterator[str]:
    """Yield the secret and its secret parts, each also as encoded in JSON and in URLs."""
    for part in {secret, *_parts(secret)}:
        yield from (part, json.dumps(part)[1:-1], quote(part, safe=""))


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret parts.

    `Bearer TOKEN` → TOKEN, `Basic …` → user:password and password, `a=b; c=d` → b and d, a URL → path and login.
    """
    scheme, _, credentials = secret.partition(" ")
    yield credentials
    if scheme.lower() == "basic":
        pair = _decoded(credentials)
        yield from (pair, pair.partition(":")[2])
    yield secret.partition("://")[2].partition("/")[2]
    login = secret.partition("://")[2].rpartition("@")[0]
    yield from (part for text in (login, unquote(login)) for part in (text, text.partition(":")[2]))
    yield from (cookie.partition("=")[2].strip() for cookie in secret.split(";"))


def _decoded(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
