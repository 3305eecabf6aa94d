"""Time, chance and ids, passed in by the daemon and by tests."""

from collections.abc import Callable
from dataclasses import dataclass

from statemachine.core.backoff import Uniform


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the program takes time and chance from.

    `now` returns the wall clock in epoch seconds, `uniform` a number in [0, 1), `new_id` a new unique id. Durations
    are measured on the event loop's clock instead, which a step of the wall clock does not move.
    """

    now: Callable[[], float]
    uniform: Uniform
    new_id: Callable[[], str]
