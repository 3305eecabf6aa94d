"""Names that are not known, with those that may be meant."""

from collections.abc import Collection
from difflib import get_close_matches

from statemachine.core.messages import Message

MOST_CLOSE = 3


def unknown(what: str, name: str, known: Collection[str]) -> Message:
    """Return the error for a name that is not known; `what` is server, group, state, reason, channel or persona."""
    if close := get_close_matches(name, known, n=MOST_CLOSE):
        return Message(f"cli.unknown_{what}_close", {"name": name, "close": close})
    return Message(f"cli.unknown_{what}", {"name": name, "names": sorted(known)})
