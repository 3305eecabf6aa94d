"""Notice a connection that sends more than its share for some seconds."""

WINDOW_S = 5.0
MOST_WAITED = 0.5
"""A connection floods if what it sent waited for more than this part of a window."""
CALM_S = 10.0
"""A flood has ended when the connection waited little for so long."""


class FloodMeter:
    """Measures how long a connection's frames wait for their turns. Times are seconds on any clock."""

    __slots__ = ("_began", "_flooded_at", "_waited_s", "is_flooding")

    def __init__(self, now: float) -> None:
        self.is_flooding = False
        self._began = now
        self._waited_s = 0.0
        self._flooded_at = now

    def waited(self, since: float, now: float) -> bool:
        """Count a wait that has just ended; return whether a flood has begun."""
        self._waited_s += now - max(since, self._began)
        window_s = now - self._began
        if window_s < WINDOW_S:
            return False
        is_flood, was_flooding = self._waited_s > MOST_WAITED * window_s, self.is_flooding
        self._began, self._waited_s = now, 0.0
        if is_flood:
            self.is_flooding, self._flooded_at = True, now
        return is_flood and not was_flooding

    def has_ended(self, now: float) -> bool:
        """Return whether the flood has ended."""
        if now - self._flooded_at >= CALM_S:
            self.is_flooding = False
        return not self.is_flooding
