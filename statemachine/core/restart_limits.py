"""When no trigger may ask for another restart of a server: too soon, too often, or after drains that timed out."""

from collections.abc import Sequence
from math import inf

from statemachine.core.messages import Message, message
from statemachine.core.restart import DAY_S, Restart, RestartCause

TOO_SOON = "restart_too_soon"


class RestartAges:
    """How long ago a server's latest hooks were, and the request, the return and the end of its latest restart.

    Ages are measured by the wall clock when a daemon first sees the times, and from then on by a steady clock, so that
    a step of the wall clock changes none of them. A time in the future, which a step back has left, counts as now.
    """

    __slots__ = ("_looked_at", "_since", "_wall")

    def __init__(self) -> None:
        self._since: dict[float, float] = {}
        self._looked_at, self._wall = -inf, 0.0

    def look(self, latest: Restart | None, wall: float, steady: float) -> None:
        """Note the times of the latest restart. What is new since an earlier look is not older than that look."""
        longest_s = steady - self._looked_at
        times = () if latest is None else (*latest.hooks, latest.requested_at, latest.returned_at, latest.ended_at)
        self._since = {
            time: self._since.get(time, steady - min(max(wall - time, 0.0), longest_s))
            for time in times
            if time is not None
        }
        self._looked_at, self._wall = steady, wall

    def age_s(self, time: float) -> float:
        """Return how long before the last look this was; 0 if it was not known then."""
        return self._looked_at - self._since.get(time, self._looked_at)

    def redated(self, time: float) -> float:
        """Return the time by the wall clock as it is set now."""
        return self._wall - self.age_s(time)

    def recent(self, hooks: Sequence[float]) -> tuple[float, ...]:
        """Return the times that are less than a day old."""
        return tuple(time for time in hooks if self.age_s(time) < DAY_S)


def held_back(
    latest: Restart | None, ages: RestartAges, min_pause_s: float, max_per_day: int, cause: RestartCause, why: Message
) -> Message | None:
    """Return why no restart may be asked for although `why` holds, None if one may. `latest` is the server's last one.

    If it ended without its hook, the pause is longer, and after `max_per_day` of them in a row only a person may ask.
    That does not hold for a stuck server, whose prompts are not waited for.
    """
    if latest is None:
        return None
    waits_for_prompts = cause is not RestartCause.STUCK
    if waits_for_prompts and latest.drains_timed_out >= max_per_day:
        return message("drains_limit", why=why, count=latest.drains_timed_out)
    if (count := len(ages.recent(latest.hooks))) >= max_per_day:
        return message("restart_limit", why=why, count=count)
    is_longer = waits_for_prompts and latest.hook_started_at is None
    pause_s = max(min_pause_s, DAY_S / max_per_day) if is_longer else min_pause_s
    if ages.age_s(latest.ended_at or latest.requested_at) < pause_s:
        return message(TOO_SOON, why=why)
    return None


def is_limit(held: Message) -> bool:
    """Return whether a restart is held back by a limit, and not only until the pause is over."""
    return held.code != TOO_SOON
