"""Input and output in any locale: a character that its encoding lacks never ends the program."""

import codecs
import os
import sys
from collections.abc import Iterable
from io import TextIOWrapper
from typing import TextIO

from statemachine.i18n.text import Language

HANDLER = "comfywarm.readable"
SUBSTITUTES = {"✓": "+", "✗": "x", "→": "->", "…": "...", "·": "-", "×": "x", "–": "-", "‘": "'", "’": "'"}
"""Signs with a meaning. Any other character becomes a question mark."""


def _substituted(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(SUBSTITUTES.get(one, "?") for one in lacking), error.end


codecs.register_error(HANDLER, _substituted)


def write_in_any_locale(streams: Iterable[TextIO]) -> None:
    """Replace what the streams' encoding lacks."""
    for stream in streams:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=HANDLER)


def argument_text(text: str) -> str:
    """Return an argument of which the locale left bytes undecoded, read as UTF-8. Raises UnicodeDecodeError."""
    is_whole = not any("\ud800" <= character <= "\udfff" for character in text)
    return text if is_whole else os.fsencode(text).decode()


def readable(language: Language) -> Language:
    """Return the language, or English if the locale's encoding has no Chinese characters."""
    try:
        "中".encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return "en"
    return language
