"""Names that a command accepts. Unknown ones are refused, with those that may be meant."""

import typer

from statemachine.core.log_entry import REASON_CODES, STATE_NAMES
from statemachine.core.messages import unknown
from statemachine.core.vocabulary import State
from statemachine.i18n.render import render
from statemachine.i18n.text import Language


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
