"""Which tasks must run in each state. `ServerTask` compares this set with what is running."""

from collections.abc import Mapping
from enum import Enum, auto

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
