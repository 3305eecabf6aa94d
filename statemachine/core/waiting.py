"""What a server waits for, and until when."""

from collections.abc import Mapping
from typing import NamedTuple

from statemachine.core.messages import Message, message
from statemachine.core.pause import Pause
from statemachine.core.vocabulary import State


class Waiting(NamedTuple):
    """What a server waits for. `until` is epoch seconds, None if it is not known.

    `at_most`: the wait ends at that time at the latest, and probably sooner.
    """

    what: Message
    until: float | None = None
    at_most: bool = False


WAITS: Mapping[State, Waiting] = {
    State.UNKNOWN: Waiting(message("wait.turn")),
    State.CHECKING: Waiting(message("wait.check_answer")),
    State.LOADED: Waiting(message("wait.check")),
    State.COLD: Waiting(message("wait.idle_queue")),
    State.AUTO_EXECUTING: Waiting(message("wait.own_loading")),
    State.SUBMITTING: Waiting(message("wait.submission")),
    State.WARMING: Waiting(message("wait.warm_up")),
    State.UNREACHABLE: Waiting(message("wait.probe")),
    State.FAILED: Waiting(message("wait.retry")),
    State.PAUSED: Waiting(message("wait.resume")),
    State.DRAINING: Waiting(message("wait.drain")),
    State.RESTARTING: Waiting(message("wait.hook")),
}
"""What a server waits for in each state, until its tasks know more."""


def waiting_of(pause: Pause) -> Waiting:
    """Return what a paused server waits for."""
    return WAITS[State.PAUSED] if pause.until is None else Waiting(message("wait.pause_end"), pause.until)
