"""The charset that an answer's Content-Type declares. Check APIs of Windows servers may answer in GBK, for example."""

import codecs
import encodings
import pkgutil
import re
from encodings.aliases import aliases

_PARAMETER = re.compile(r";\s*charset\s*=\s*[\"']?(?:x-)?([\w.:+-]+)", re.IGNORECASE)
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "big5": "big5hkscs"}
"""As browsers do: texts that are declared as the older charset have characters of the newer one."""

_WINDOWS = re.compile(r"^windows-(?=9\d\d$)", re.IGNORECASE)
"""The East Asian code pages, which Python knows as `cp936`."""

_CHARSET = re.compile(r"utf-16|utf-32|gb|hz$|big5|cp\d|euc_|shift_jis|iso2022|iso8859|koi8|tis-620|ptcp154|johab")
"""Python's codecs for text on the web. Others are not charsets (`idna`) or take quadratic time (`punycode`)."""

_CODECS = frozenset((*aliases, *(module.name for module in pkgutil.iter_modules(encodings.__path__))))
"""Names that may be looked up. Python keeps every unknown name that it was asked for."""

_SEVEN_BIT = re.compile(r"hz|iso2022")
"""Charsets in which every text is also valid UTF-8."""


def as_utf8(body: bytes, content_type: str) -> bytes:
    """Return a body in UTF-8 if it declares another charset and is valid in it, else the body itself.

    Some frameworks declare a default for what is UTF-8. A Chinese text in another charset is practically never valid
    UTF-8.
    """
    charset = _charset(content_type)
    if charset is None or (not _SEVEN_BIT.match(charset) and _is_utf8(body)):
        return body
    try:
        return body.decode(charset).encode()
    except UnicodeError:
        return body


def _charset(content_type: str) -> str | None:
    """Return the codec of a declared charset, None for UTF-8 or an unknown one."""
    declared = _PARAMETER.search(content_type)
    if declared is None:
        return None
    module = encodings.normalize_encoding(_WINDOWS.sub("cp", declared[1])).lower()
    if module not in _CODECS:
        return None
    try:
        name = codecs.lookup(module).name
    except LookupError:
        return None
    return _SUPERSETS.get(name, name) if _CHARSET.match(name) else None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in body
