"""Figures, the cases that measure them, and their outcomes."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Options:
    """Sizes of the largest and the usual fleet, and the seconds for which each run measures stalls."""

    fleet: int = 10_000
    servers: int = 1_000
    stall_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that a case measures. `baseline` describes what it is compared with.

    `target` is the ratio to reach: comfywarm's value divided by the baseline's.
    """

    id: str
    title: str
    unit: str
    baseline: str
    target: float
    better: Better


Measured = dict[str, float]
"""Values of one run, by figure id."""

Measure = Callable[[Options], Awaitable[Measured]]


@dataclass(frozen=True, slots=True)
class Case:
    """Figures measured together: `ours` measures comfywarm."""

    figures: tuple[Figure, ...]
    ours: Measure
    baseline: Measure


@dataclass(frozen=True, slots=True)
class Outcome:
    """Values of a figure in all runs, with the size of the largest fleet and the machine."""

    figure: Figure
    ours: Sequence[float]
    baseline: Sequence[float]
    fleet: int
    machine: str

    @property
    def ratio(self) -> float:
        """Return the median of the pairs' ratios."""
        return statistics.median(self.ratios)

    @property
    def ratios(self) -> list[float]:
        """Return comfywarm's value divided by the baseline's, for each pair."""
        return [ours / baseline for ours, baseline in zip(self.ours, self.baseline, strict=True)]

    @property
    def spread(self) -> float:
        """Return the difference between the best and the worst ratio, divided by the median ratio."""
        return (max(self.ratios) - min(self.ratios)) / self.ratio

    @property
    def reached(self) -> bool:
        """Return whether the target was met."""
        better_is_more = self.figure.better == "higher"
        return self.ratio >= self.figure.target if better_is_more else self.ratio <= self.figure.target
