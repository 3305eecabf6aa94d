"""What is killed, and the moment: an event at a server, or a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from typing_extensions import override


class Moment(StrEnum):
    """What a kill waits for. All but the first are events at a server."""

    ANY_TIME = "at any time"
    POST_ARRIVES = "a POST arrives"
    POST_ACCEPTED = "a POST is accepted, without a response"
    PROMPT_RUNS = "a prompt starts"
    PROMPT_ENDS = "a prompt ends"


class Target(StrEnum):
    """What is killed. A server is the one where the event happens."""

    GATEWAY = "gateway"
    SERVER = "server"
    DAEMON = "daemon"


WEIGHTS = {Target.GATEWAY: 5, Target.SERVER: 4, Target.DAEMON: 1}
MOMENT_WEIGHTS = {
    Moment.ANY_TIME: 1,
    Moment.POST_ARRIVES: 3,
    Moment.POST_ACCEPTED: 3,
    Moment.PROMPT_RUNS: 1,
    Moment.PROMPT_ENDS: 1,
}
SOON_S = 0.5


@dataclass(frozen=True)
class Kill:
    """One kill, after which the process stays away for `away_s`. `place` chooses one of several processes."""

    target: Target
    moment: Moment
    delay_s: float
    away_s: float
    place: int

    @override
    def __str__(self) -> str:
        return f"{self.target}: {self.moment}"


def draw(rng: Random, kills: int, moments: Sequence[Moment]) -> list[Kill]:
    """Draw all kills of a campaign, at these moments."""
    targets = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=kills)
    weights = [MOMENT_WEIGHTS[one] for one in moments]
    return [
        Kill(
            target,
            rng.choices(moments, weights)[0],
            rng.uniform(0, SOON_S),
            rng.uniform(0, 2 * SOON_S),
            rng.randrange(6),
        )
        for target in targets
    ]


class Moments:
    """Call the armed callback once, within the event, with the name of the server."""

    def __init__(self) -> None:
        self._armed: tuple[Moment, Callable[[str], None]] | None = None

    def arm(self, moment: Moment, callback: Callable[[str], None]) -> None:
        """Call `callback` at the next such moment."""
        self._armed = moment, callback

    def disarm(self) -> None:
        """Call nothing any more."""
        self._armed = None

    def happened(self, moment: Moment, server: str) -> None:
        """Report a moment."""
        if self._armed is not None and self._armed[0] is moment:
            _, callback = self._armed
            self._armed = None
            callback(server)
