"""Texts that most servers of a fleet say word for word are kept once, and not once for each server."""

from functools import lru_cache


@lru_cache(maxsize=512)
def kept_once(text: str) -> str:
    """An equal text that was said before, else this one."""
    return text
