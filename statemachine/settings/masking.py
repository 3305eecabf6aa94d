"""Hides our secrets in what others send back, and in the log.

A proxy's error page, for example, may quote the request's headers, and a library's exception a whole URL.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote

from pydantic import BaseModel, SecretStr

SHORTEST = 8
"""Characters. Shorter values may be a part of anything that a server says, and hiding them would garble it."""

_SHOWN = "***"
_PLAIN = (str, int, float, type(None))
"""What holds no secret. Most of a large fleet's settings is, and to look into each took a tenth of a second."""


class Mask:
    """Replaces each secret, and what a header's secret consists of, with three asterisks."""

    __slots__ = ("_words",)

    def __init__(self, secrets: Iterable[SecretStr]) -> None:
        words = {word for secret in secrets for word in _spellings(secret.get_secret_value())}
        self._words = sorted((word for word in words if len(word) >= SHORTEST), key=len, reverse=True)

    def __bool__(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._words)

    def text(self, text: str) -> str:
        """The text without secrets."""
        for word in self._words:
            text = text.replace(word, _SHOWN)
        return text

    def data(self, data: bytes) -> bytes:
        """The bytes, which are text in UTF-8 or anything else, without secrets."""
        for word in self._words:
            data = data.replace(word.encode(), _SHOWN.encode())
        return data


def secrets_in(value: object) -> Iterator[SecretStr]:
    """Every secret in a section of the settings, or in the whole of them."""
    if isinstance(value, SecretStr):
        yield value
    for inner in _held_by(value):
        if not isinstance(inner, _PLAIN):
            yield from secrets_in(inner)


def _held_by(value: object) -> Iterable[object]:
    if isinstance(value, BaseModel):
        return [inner for _, inner in value]
    if isinstance(value, list | tuple):
        return value
    return value.values() if isinstance(value, Mapping) else ()


def _spellings(secret: str) -> Iterator[str]:
    """The secret, the parts that are secret by themselves, and how JSON and URLs write them."""
    for part in {secret, *_parts(secret)}:
        yield from (part, json.dumps(part)[1:-1], quote(part, safe=""))


def _parts(secret: str) -> Iterator[str]:
    """`Bearer TOKEN` → TOKEN, `Basic …` → user:password and password, `a=b; c=d` → b and d, a URL → path and login."""
    scheme, _, credentials = secret.partition(" ")
    yield credentials
    if scheme.lower() == "basic":
        pair = _decoded(credentials)
        yield from (pair, pair.partition(":")[2])
    yield secret.partition("://")[2].partition("/")[2]
    login = secret.partition("://")[2].rpartition("@")[0]
    yield from (part for said in (login, unquote(login)) for part in (said, said.partition(":")[2]))
    yield from (cookie.partition("=")[2].strip() for cookie in secret.split(";"))


def _decoded(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
