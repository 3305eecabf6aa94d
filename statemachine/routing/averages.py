"""What has been learned: how long models run and load, and how often requests for them came lately."""

import math
from collections.abc import Callable, Collection, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key")

MAX_KEYS = 10_000
"""Entries of a table. The one that was not observed for the longest time is dropped."""

RATE = 0.05
"""Least weight of a new observation, so that an average follows a change within about 20 observations."""

PRIOR_RUN_S = 20.0
PRIOR_LOAD_S = 20.0
"""Expectations before anything was observed: medians of a public trace are 22 s for a run and 23 s for a load."""

PRIOR_WEIGHT = 3.0
"""How many observations the average of all keys counts for in the expectation of one key."""

SPAN_S = 24 * 3600.0
"""Time over which requests are averaged. Shorter spans forget models that are used daily."""

WITHIN_S = 300.0
"""A model that is pushed out is missed if a request for it comes this soon."""


class Average:
    """A mean that forgets: each observation weighs 1/n, at least `rate`."""

    __slots__ = ("_rate", "count", "mean")

    def __init__(self, rate: float = RATE) -> None:
        self._rate = rate
        self.count = 0
        self.mean = 0.0

    def observe(self, value: float) -> None:
        """Include a value."""
        self.count += 1
        self.mean += (value - self.mean) * max(1.0 / self.count, self._rate)

    def expected(self, prior: float, weight: float = PRIOR_WEIGHT) -> float:
        """Return the mean, drawn to `prior` while there are few observations."""
        count = min(self.count, 1.0 / self._rate)
        return (self.mean * count + prior * weight) / (count + weight)


class Table(Generic[Key]):
    """Averages by key, and the average of all keys, which stands for unknown ones. Bounded."""

    def __init__(self, prior: float) -> None:
        self._prior = prior
        self._all = Average()
        self._by_key: dict[Key, Average] = {}

    def observe(self, key: Key, value: float) -> None:
        """Include a value of this key."""
        self._all.observe(value)
        average = self._by_key.pop(key, None) or Average()
        average.observe(value)
        self._by_key[key] = average  # the newest last
        if len(self._by_key) > MAX_KEYS:
            del self._by_key[next(iter(self._by_key))]

    def is_known(self, key: Key) -> bool:
        """Return whether this key was observed."""
        return key in self._by_key

    def expected(self, key: Key | None) -> float:
        """Return the expectation of a key; of an unknown one, or None, that of all."""
        of_all = self._all.expected(self._prior)
        average = self._by_key.get(key) if key is not None else None
        return of_all if average is None else average.expected(of_all)


class Durations:
    """Run times by set of models, and load times by model."""

    def __init__(self) -> None:
        self._runs = Table[frozenset[str]](PRIOR_RUN_S)
        self._loads = Table[str](PRIOR_LOAD_S)

    def run_s(self, models: frozenset[str] | None) -> float:
        """Return the expected seconds of a prompt whose models are ready; None is an unknown prompt."""
        return self._runs.expected(models)

    def load_s(self, model: str) -> float:
        """Return the expected seconds until a model is loaded."""
        return self._loads.expected(model)

    def is_run_known(self, models: frozenset[str]) -> bool:
        """Return whether a prompt with this set was seen with its models ready."""
        return self._runs.is_known(models)

    def ran(self, models: frozenset[str], seconds: float) -> None:
        """Learn from a prompt whose models were ready."""
        self._runs.observe(models, seconds)

    def loaded(self, models: Collection[str], seconds: float) -> None:
        """Learn from the loading of these models together."""
        share = max(0.0, seconds) / max(1, len(models))
        for model in models:
            self._loads.observe(model, share)

    def missing_s(self, models: frozenset[str], kept: Callable[[str], float]) -> float:
        """Return the expected seconds of loading, where `kept` is the probability that a model is ready."""
        return sum((1.0 - kept(model)) * self.load_s(model) for model in models)


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
