"""How long ago the restarts of simulated servers were, as the daemon that looks after them has to measure it."""

from dataclasses import dataclass, field
from typing import NamedTuple

STORED_WITHIN_S = 60.0
"""The longest time between what happens and its row in the journal."""


class Moment(NamedTuple):
    """A time by the steady clock of the loop and by the wall clock, in epoch seconds."""

    at: float
    wall: float

    def when(self, wall: float) -> "Moment":
        """Return the moment of what was stored now and happened shortly before, at this time of the wall clock."""
        return Moment(self.at - min(max(self.wall - wall, 0.0), STORED_WITHIN_S), wall)


@dataclass
class RestartTimes:
    """A daemon has the wall clock for what was before its start, and a steady clock for everything since.

    `read`: server → when the present daemon has read its latest restart from the journal.
    """

    read: dict[str, Moment] = field(default_factory=dict)

    def age_s(self, server: str, past: Moment, at: float) -> float:
        """Return how long before `at` this was; a past that is in the future of the wall clock was just now."""
        read = self.read.get(server)
        if read is None or past.at >= read.at:
            return at - past.at
        return max(0.0, read.wall - past.wall) + at - read.at
