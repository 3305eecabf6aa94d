"""The moments of kills: events at the simulated servers, or a time after the start."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Moment(StrEnum):
    """What a kill waits for. The first two are times, the others are events at a server."""

    STARTING = "while it starts"
    ANY_TIME = "at any time"
    CHECK_ARRIVES = "a check arrives"
    QUEUE_READ = "the queue is read"
    POST_ARRIVES = "a POST arrives"
    POST_HELD = "a POST is held"
    POST_ACCEPTED = "a POST is accepted, without a response"
    PROMPT_RUNS = "a warm-up starts"
    PROMPT_ENDS = "a warm-up ends"
    SERVER_DIES = "a server dies"


WEIGHTS = {
    Moment.STARTING: 2,
    Moment.ANY_TIME: 3,
    Moment.CHECK_ARRIVES: 1,
    Moment.QUEUE_READ: 4,
    Moment.POST_ARRIVES: 5,
    Moment.POST_HELD: 5,
    Moment.POST_ACCEPTED: 5,
    Moment.PROMPT_RUNS: 2,
    Moment.PROMPT_ENDS: 3,
    Moment.SERVER_DIES: 1,
}
"""Most kills happen around a submission, from the last look at the queue to the response."""

START_S = 1.0
SOON_S = 0.05


@dataclass(frozen=True)
class Kill:
    """One kill, after which the daemon stays down for `away_s`.

    `delay_s` counts from the start for the two times, and from the event for the others; None kills within the event.
    """

    moment: Moment
    delay_s: float | None
    away_s: float

    @property
    def timed(self) -> bool:
        return self.moment in (Moment.STARTING, Moment.ANY_TIME)


def draw(rng: Random, kills: int, longest_run_s: float) -> list[Kill]:
    """Draw all kills of a campaign."""
    moments = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=kills)
    return [Kill(one, _delay_s(one, rng, longest_run_s), rng.choice((0.0, rng.uniform(0.0, 1.0)))) for one in moments]


def _delay_s(moment: Moment, rng: Random, longest_run_s: float) -> float | None:
    if moment is Moment.STARTING:
        return rng.uniform(0.0, START_S)
    if moment is Moment.ANY_TIME:
        return rng.uniform(0.0, longest_run_s)
    return rng.choice((None, rng.uniform(0.0, SOON_S)))


class Moments:
    """Call the armed callback once, synchronously within the event."""

    def __init__(self) -> None:
        self.run = 0
        """Number of ended runs of the daemon."""
        self._armed: tuple[Moment, Callable[[], None]] | None = None

    def arm(self, moment: Moment, callback: Callable[[], None]) -> None:
        """Call `callback` at the next such moment; replaces an earlier callback."""
        self._armed = moment, callback

    def disarm(self) -> None:
        self._armed = None

    def happened(self, moment: Moment) -> None:
        """Report a moment."""
        if self._armed is not None and self._armed[0] is moment:
            callback = self._armed[1]
            self._armed = None
            callback()
