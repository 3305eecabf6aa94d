"""How much models are wanted: how often requests for them came lately."""

import math
from collections.abc import Iterable

from statemachine.routing.averages import MAX_KEYS

SPAN_S = 24 * 3600.0
"""Time over which requests are averaged. Shorter spans forget models that are used daily."""

WITHIN_S = 300.0
"""A model that is pushed out is missed if a request for it comes this soon."""


class Demand:
    """Rates of requests by model, which fade with time. Bounded: the model not requested for the longest is dropped."""

    def __init__(self) -> None:
        self._rates: dict[str, tuple[float, float]] = {}
        """Requests a second, and when that was computed."""

    def requested(self, models: Iterable[str], at: float) -> None:
        """Include a request for these models."""
        for model in models:
            self._add(model, 1.0 / SPAN_S, at)

    def withdrawn(self, models: Iterable[str], at: float) -> None:
        """Take out a request that was not sent after all; it is included again where it is sent next."""
        for model in models:
            self._add(model, -1.0 / SPAN_S, at)

    def wanted(self, model: str, at: float) -> float:
        """Return how likely a request for the model comes within WITHIN_S."""
        return -math.expm1(-self._rate(model, at) * WITHIN_S)

    def _rate(self, model: str, at: float) -> float:
        rate, counted_at = self._rates.get(model, (0.0, at))
        return rate * math.exp(-max(0.0, at - counted_at) / SPAN_S)

    def _add(self, model: str, change: float, at: float) -> None:
        rate = max(0.0, self._rate(model, at) + change)
        self._rates.pop(model, None)
        self._rates[model] = (rate, at)  # the newest last
        if len(self._rates) > MAX_KEYS:
            del self._rates[next(iter(self._rates))]
