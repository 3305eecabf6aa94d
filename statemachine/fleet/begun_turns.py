"""Which times of schedules a daemon has begun to restart a group for, by the restarts that are stored.

A daemon that starts, or that takes servers over, restarts the rest of the group, one server after the other.
"""

import asyncio
from collections.abc import Callable, Iterable

from statemachine.core.restart import Restart, RestartCause
from statemachine.settings.servers import ServerConfig

AGAIN_S = 60.0
"""How long an answer counts: a fleet may have many servers."""

MAX_KEPT = 1_000

Turn = tuple[str, str | None, str]
"""A group, a cron expression and its time zone."""


class BegunTurns:
    """`servers` returns the fleet's configurations, `restarts` the latest restarts of a group, by any daemon."""

    def __init__(
        self, servers: Callable[[], Iterable[ServerConfig]], restarts: Callable[[str], Iterable[Restart]]
    ) -> None:
        self._servers = servers
        self._restarts = restarts
        self._known: dict[Turn, tuple[float, float, bool]] = {}
        """The time of the schedule, the loop time of the look, and whether the restarts for it have begun."""

    def has_begun(self, config: ServerConfig, turn: float) -> bool:
        """Return whether a server with the same group and schedule was restarted for this time of the schedule."""
        key, now = _key(config), asyncio.get_running_loop().time()
        known_turn, looked_at, begun = self._known.get(key, (0.0, 0.0, False))
        if known_turn == turn and (begun or now - looked_at < AGAIN_S):
            return begun
        if len(self._known) >= MAX_KEPT:
            self._known.clear()
        begun = self._look(key, turn)
        self._known[key] = turn, now, begun
        return begun

    def _look(self, key: Turn, turn: float) -> bool:
        begun = {
            one.server
            for one in self._restarts(key[0])
            if one.cause is RestartCause.SCHEDULE and one.requested_at >= turn
        }
        return bool(begun) and any(_key(one) == key for one in self._servers() if one.name in begun)


def _key(config: ServerConfig) -> Turn:
    return config.group, config.restart.schedule, config.restart.time_zone
