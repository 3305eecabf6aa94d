"""Text that is safe to print: it may quote a server."""

import json
import re

_ERROR_NUMBER = re.compile(r"\[Errno -?\d+\] ")


def one_line(text: str) -> str:
    """Return the text on one line, with escapes for what cannot be printed or reverses the writing."""
    return harmless(" ".join(text.split()))


def harmless(text: str) -> str:
    """Return the same, with its line breaks."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text)


def harmless_json(text: str) -> str:
    """Return the JSON on one line with escapes for the same characters; it stays the same JSON."""
    return text if text.isprintable() else "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def without_error_number(text: str) -> str:
    """Return the text of an OSError without `[Errno …]`."""
    return _ERROR_NUMBER.sub("", text)
