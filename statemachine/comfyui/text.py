"""Texts made from a server's answers."""

from functools import lru_cache

import orjson

from statemachine.core.messages import MAX_TEXT

INTERNED_TEXTS = 512
"""Distinct texts that `intern_text` keeps. A fleet has few versions, device names and check answers."""


def json_text(value: object) -> str:
    """Return a text as it is and any other value as JSON.

    Raises TypeError for a value nested more than 254 levels deep. `str()` of such a value raises RecursionError or
    returns a long text, depending on the version of Python.
    """
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def shown(value: object) -> str:
    """Return the beginning of the value as text for a message; never raises."""
    try:
        return json_text(value)[: MAX_TEXT + 1]
    except TypeError:
        return "(nested too deeply)"


@lru_cache(maxsize=INTERNED_TEXTS)
def intern_text(text: str) -> str:
    """Return an equal text that was seen before, so that thousands of servers share one copy."""
    return text
