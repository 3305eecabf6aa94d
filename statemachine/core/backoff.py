"""Backoff with jitter, and the budget of warm-ups."""

from collections import Counter
from collections.abc import Callable

Uniform = Callable[[], float]
"""Return a number in [0, 1), as `random.Random().random` does."""


def backoff(tries: int, base_s: float, limit_s: float, uniform: Uniform) -> float:
    """Return the seconds to wait after `tries` failures.

    The ceiling doubles from `base_s` up to `limit_s`; the result is random in its upper half, so that servers that
    failed together are not retried together.
    """
    ceiling = min(limit_s, base_s * 2.0 ** min(tries, 32))
    return ceiling * (0.5 + 0.5 * uniform())


def spread(interval_s: float, uniform: Uniform) -> float:
    """Return the interval plus or minus 10 %, so that the checks of a fleet drift apart."""
    return interval_s * (0.9 + 0.2 * uniform())


class Budget:
    """Count the servers that hold a permit, each at most once."""

    def __init__(self, total: int, per_host: int) -> None:
        self._total = total
        self._per_host = per_host
        self._host_of: dict[str, str] = {}
        self._hosts: Counter[str] = Counter()

    def resize(self, total: int, per_host: int) -> None:
        """Change the limits; servers that hold a permit keep it."""
        self._total, self._per_host = total, per_host

    def has_room(self, host: str) -> bool:
        """Return whether one more warm-up on this host fits."""
        return len(self._host_of) < self._total and self._hosts[host] < self._per_host

    def take(self, server: str, host: str) -> None:
        """Count the server even beyond the limits, because its prompt may already be in flight."""
        if server not in self._host_of:
            self._host_of[server] = host
            self._hosts[host] += 1

    def release(self, server: str) -> bool:
        """Stop counting the server; return whether it was counted."""
        host = self._host_of.pop(server, None)
        if host is not None:
            self._hosts[host] -= 1
        return host is not None

    def __contains__(self, server: str) -> bool:
        return server in self._host_of

    def __len__(self) -> int:
        return len(self._host_of)
