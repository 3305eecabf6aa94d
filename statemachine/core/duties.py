"""What must be running in each state.

The runner starts and stops duties by comparing sets, so doing it twice is harmless.
"""

from collections.abc import Mapping
from enum import Enum, auto

from statemachine.core.vocabulary import State


class Duty(Enum):
    """One piece of standing work of a server's runner."""

    PREPARE = auto()  # settle a doubtful attempt first, then start a check
    CHECK = auto()  # ask the check until it answers or the server is unreachable
    RECHECK = auto()  # ask the check at its interval, the verdict standing
    WAIT_FOR_SLOT = auto()  # wait for backoff, fitness, an idle queue and a permit
    WATCH_QUEUE = auto()  # wait until a server that loads by itself has nothing left to do
    SUBMIT = auto()  # post what is written down, or find out what became of it
    TRACK = auto()  # ask HTTP about our prompt, slowly: the socket may have lost its end
    PROBE = auto()  # ask whether an unreachable server answers
    BACK_OFF = auto()  # wait for the end of a failure's backoff


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
    State.PAUSED: frozenset(),
}
