"""When to kill: moments that the simulated servers announce, or a time since the start."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Moment(StrEnum):
    """What a kill waits for. The first two are times, the others are announced."""

    STARTING = "while it starts"
    ANY_TIME = "at any time"
    CHECK_ASKED = "a check arrives"
    QUEUE_READ = "the queue is read"
    POST_ARRIVES = "a POST arrives"
    POST_LIES = "a POST lies untaken"
    POST_TAKEN = "a POST is taken, unanswered"
    PROMPT_RUNS = "a prompt of ours begins"
    PROMPT_ENDS = "a prompt of ours ends"
    SERVER_DIES = "a server dies"


WEIGHTS = {
    Moment.STARTING: 2,
    Moment.ANY_TIME: 3,
    Moment.CHECK_ASKED: 1,
    Moment.QUEUE_READ: 4,
    Moment.POST_ARRIVES: 5,
    Moment.POST_LIES: 5,
    Moment.POST_TAKEN: 5,
    Moment.PROMPT_RUNS: 2,
    Moment.PROMPT_ENDS: 3,
    Moment.SERVER_DIES: 1,
}
"""Most kills fall around a submission, from the last look at the queue to the answer."""


START_S = 1.0
SOON_S = 0.05


@dataclass(frozen=True)
class Kill:
    """One kill: `delay_s` after the start for the two moments that are times, after the announcement for the others.

    None is within the announcement: nothing has happened since. Then the daemon stays away for `away_s`.
    """

    moment: Moment
    delay_s: float | None
    away_s: float

    @property
    def timed(self) -> bool:
        return self.moment in (Moment.STARTING, Moment.ANY_TIME)


def draw(rng: Random, kills: int, longest_life_s: float) -> list[Kill]:
    """All kills of a campaign."""
    moments = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=kills)
    return [Kill(one, _delay_s(one, rng, longest_life_s), rng.choice((0.0, rng.uniform(0.0, 1.0)))) for one in moments]


def _delay_s(moment: Moment, rng: Random, longest_life_s: float) -> float | None:
    if moment is Moment.STARTING:
        return rng.uniform(0.0, START_S)
    if moment is Moment.ANY_TIME:
        return rng.uniform(0.0, longest_life_s)
    return rng.choice((None, rng.uniform(0.0, SOON_S)))


class Moments:
    """Calls whoever waits for a moment, once, within the announcement: nothing has happened since."""

    def __init__(self) -> None:
        self.life = 0
        """How many lives of the daemon have ended."""
        self._armed: tuple[Moment, Callable[[], None]] | None = None

    def arm(self, moment: Moment, strike: Callable[[], None]) -> None:
        """Wait for that moment instead of any earlier one."""
        self._armed = moment, strike

    def disarm(self) -> None:
        self._armed = None

    def happened(self, moment: Moment) -> None:
        """Announce."""
        if self._armed is not None and self._armed[0] is moment:
            strike = self._armed[1]
            self._armed = None
            strike()
