"""Which tasks must run in each state, and what a server waits for meanwhile.

`ServerTask` compares the tasks with what is running.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple

from statemachine.core.messages import Message, message
from statemachine.core.pause import Pause
from statemachine.core.vocabulary import State


class Duty(Enum):
    """A task of a server."""

    PREPARE = auto()  # settle an open attempt first, then start a check
    CHECK = auto()  # ask the check until it answers or the server is unreachable
    RECHECK = auto()  # ask the check at its interval; the verdict stays
    WAIT_FOR_SLOT = auto()  # wait for backoff, preflight, an idle queue and a permit
    WATCH_QUEUE = auto()  # wait until a server that loads by itself has an empty queue
    SUBMIT = auto()  # post the recorded attempt, or look it up
    TRACK = auto()  # look our prompt up over HTTP, slowly, in case /ws missed its end
    PROBE = auto()  # send the cheapest request to an unreachable server
    BACK_OFF = auto()  # wait for the long backoff of a failure
    END_PAUSE = auto()  # end a pause at its time
    AWAIT_HOOK = auto()  # wait for the end of the restart hook that was running when the server was paused
    DRAIN = auto()  # wait until a server that is to be restarted has finished its prompts, and record the hook
    RESTART = auto()  # run the hook once, and wait until another process of the server answers


DUTIES: Mapping[State, frozenset[Duty]] = {
    State.UNKNOWN: frozenset({Duty.PREPARE}),
    State.CHECKING: frozenset({Duty.CHECK}),
    State.LOADED: frozenset({Duty.RECHECK}),
    State.COLD: frozenset({Duty.WAIT_FOR_SLOT, Duty.RECHECK}),
    State.AUTO_EXECUTING: frozenset({Duty.WATCH_QUEUE}),
    State.SUBMITTING: frozenset({Duty.SUBMIT}),
    State.WARMING: frozenset({Duty.TRACK}),
    State.UNREACHABLE: frozenset({Duty.PROBE}),
    State.FAILED: frozenset({Duty.BACK_OFF}),
    State.PAUSED: frozenset({Duty.END_PAUSE, Duty.AWAIT_HOOK}),
    State.DRAINING: frozenset({Duty.DRAIN}),
    State.RESTARTING: frozenset({Duty.RESTART}),
}


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
