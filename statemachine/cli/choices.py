"""Names that a command accepts. Unknown ones are refused, with those that may be meant."""

from collections.abc import Collection
from difflib import get_close_matches

import typer

from statemachine.core.log_entry import REASON_CODES, STATE_NAMES
from statemachine.core.messages import Message
from statemachine.core.vocabulary import State
from statemachine.i18n.render import render
from statemachine.i18n.text import Language

MOST_CLOSE = 3


def unknown(what: str, name: str, known: Collection[str]) -> Message:
    """Return the error for a name that is not known; `what` is server, group, state, reason, channel or persona."""
    if close := get_close_matches(name, known, n=MOST_CLOSE):
        return Message(f"cli.unknown_{what}_close", {"name": name, "close": close})
    return Message(f"cli.unknown_{what}", {"name": name, "names": sorted(known)})


def known_state(name: str, language: Language) -> State:
    """Return the state of this name. Raises BadParameter."""
    if name not in STATE_NAMES:
        raise typer.BadParameter(render(unknown("state", name, STATE_NAMES), language), param_hint="--state")
    return State(name)


def known_reason(code: str, language: Language) -> str:
    """Return the reason code. Raises BadParameter."""
    if code not in REASON_CODES:
        raise typer.BadParameter(render(unknown("reason", code, REASON_CODES), language), param_hint="--reason")
    return code
