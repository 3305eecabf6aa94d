"""How long to wait before the next try."""

from collections.abc import Callable

Uniform = Callable[[], float]
"""Gives a number in [0, 1), as `random.Random().random` does."""


def backoff(tries: int, base_s: float, limit_s: float, uniform: Uniform) -> float:
    """Seconds to wait after `tries` failures: doubling from `base_s` up to `limit_s`, then anywhere in the upper half.

    The jitter keeps a fleet that failed together from coming back together.
    """
    ceiling = min(limit_s, base_s * 2.0 ** min(tries, 32))
    return ceiling * (0.5 + 0.5 * uniform())


def spread(interval_s: float, uniform: Uniform) -> float:
    """The interval, a tenth more or less, so that the checks of a fleet drift apart."""
    return interval_s * (0.9 + 0.2 * uniform())
