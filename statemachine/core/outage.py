"""The brake for the whole fleet: when most servers stop answering at once, it is probably us.

A cut cable on the daemon's side looks like the death of every server. Declaring them all unreachable would page people
for nothing, and warming them all again would load the fleet for nothing. So verdicts are held for a while, and one
notice is given. A refused connection does not count: somebody answered to refuse it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto


class OutageChange(Enum):
    """What an observation did to the brake."""

    ENGAGED = auto()
    RELEASED = auto()


@dataclass(slots=True)
class OutageDetector:
    """Looks at the servers that were asked within `window_s`; times are seconds on any steady clock.

    Engages when at least `least` of them and a share of `share` do not answer; releases when fewer than half that share
    do not, or after `hold_s`: a hold is bounded, and is not repeated before the fleet has been seen answering.
    """

    window_s: float = 20.0
    least: int = 5
    share: float = 0.7
    hold_s: float = 300.0
    engaged: bool = False
    _asked: OrderedDict[str, tuple[float, bool]] = field(default_factory=OrderedDict)
    _silent: int = 0
    _engaged_at: float = 0.0
    _spent: bool = False

    def observe(self, server: str, at: float, *, answered: bool) -> OutageChange | None:
        """Take in that a server answered, or did not."""
        self._forget(server)
        self._asked[server] = (at, answered)
        self._silent += not answered
        self._drop_old(at)
        return self._judge(at)

    @property
    def knows_little(self) -> bool:
        """Whether too few servers were asked lately for a judgement."""
        return len(self._asked) < self.least

    def _judge(self, at: float) -> OutageChange | None:
        silent_share = self._silent / len(self._asked)
        calm = silent_share < self.share / 2
        self._spent = self._spent and not calm
        if self.engaged and (calm or at - self._engaged_at > self.hold_s):
            self.engaged, self._spent = False, not calm
            return OutageChange.RELEASED
        if not self.engaged and not self._spent and self._silent >= self.least and silent_share >= self.share:
            self.engaged, self._engaged_at = True, at
            return OutageChange.ENGAGED
        return None

    def _drop_old(self, at: float) -> None:
        while self._asked:
            server, (seen, _) = next(iter(self._asked.items()))
            if at - seen <= self.window_s:
                return
            self._forget(server)

    def _forget(self, server: str) -> None:
        entry = self._asked.pop(server, None)
        if entry is not None:
            self._silent -= not entry[1]
