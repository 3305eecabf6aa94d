"""Detect an outage on the daemon's side: most servers stop answering at once.

A cut cable at the daemon looks as if every server had died. Declaring all of them unreachable would send useless
alerts, and warming them all again would load the fleet. So verdicts are held for a while and one notice is recorded. A
refused connection counts as an answer, because the server's machine refused it.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum, auto


class OutageChange(Enum):
    """What an observation did to the hold."""

    ENGAGED = auto()
    RELEASED = auto()


@dataclass(slots=True)
class OutageDetector:
    """Observe the servers that were asked within `window_s`; times are seconds on any steady clock.

    It engages when at least `least` of them and a share of `share` do not answer. It releases when fewer than half that
    share do not answer, or after `hold_s`; after that it engages again only once the fleet has answered.
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
        """Record that a server answered or did not; return what that changed."""
        self._forget(server)
        self._asked[server] = (at, answered)
        self._silent += not answered
        self._drop_old(at)
        return self._update(at)

    @property
    def knows_little(self) -> bool:
        """Whether too few servers were asked recently to judge."""
        return len(self._asked) < self.least

    def _update(self, at: float) -> OutageChange | None:
        silent_share = self._silent / len(self._asked)
        mostly_answering = silent_share < self.share / 2
        self._spent = self._spent and not mostly_answering
        if self.engaged and (mostly_answering or at - self._engaged_at > self.hold_s):
            self.engaged, self._spent = False, not mostly_answering
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
