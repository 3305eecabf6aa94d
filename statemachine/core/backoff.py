"""Backoff with jitter, and the budget of warm-ups."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

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


class Applicant(Protocol):
    """A server that waits for a permit."""

    @property
    def host(self) -> str:
        """The host that the server shares with others."""
        ...

    @property
    def group(self) -> str:
        """The server's group, "" if it is not known."""
        ...


AnyApplicant = TypeVar("AnyApplicant", bound=Applicant)


class Budget:
    """Count the servers that hold a permit, each at most once."""

    def __init__(self, total: int, per_host: int) -> None:
        self._total = total
        self._per_host = per_host
        self._place_of: dict[str, tuple[str, str]] = {}
        self._hosts: Counter[str] = Counter()
        self._groups: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """The number of permits."""
        return self._total

    @property
    def per_host(self) -> int:
        """The number of permits on each host."""
        return self._per_host

    def on_host(self, host: str) -> int:
        """Return how many servers of the host hold a permit."""
        return self._hosts[host]

    def resize(self, total: int, per_host: int) -> None:
        """Change the limits; servers that hold a permit keep it."""
        self._total, self._per_host = total, per_host

    def has_room(self, host: str) -> bool:
        """Return whether one more warm-up on this host fits."""
        return len(self._place_of) < self._total and self._hosts[host] < self._per_host

    def next_of(self, waiting: Iterable[AnyApplicant]) -> AnyApplicant | None:
        """Return the first that fits; one whose host or group has half of all permits comes after the others."""
        fitting = [one for one in waiting if self.has_room(one.host)]
        return next((one for one in fitting if not self._holds_half(one)), fitting[0] if fitting else None)

    def _holds_half(self, one: Applicant) -> bool:
        return 2 * max(self._hosts[one.host], self._groups[one.group]) >= self._total

    def take(self, server: str, host: str, group: str = "") -> None:
        """Count the server even beyond the limits, because its prompt may already be in flight."""
        if server not in self._place_of:
            self._place_of[server] = host, group
            self._hosts[host] += 1
            self._groups[group] += 1

    def release(self, server: str) -> bool:
        """Stop counting the server; return whether it was counted."""
        place = self._place_of.pop(server, None)
        if place is not None:
            for counts, key in zip((self._hosts, self._groups), place, strict=True):
                counts[key] -= 1
                if not counts[key]:
                    del counts[key]  # hosts come and go
        return place is not None

    def __contains__(self, server: str) -> bool:
        return server in self._place_of

    def __len__(self) -> int:
        return len(self._place_of)
