"""What is measured: figures, the cases that measure them, and what came of it."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a run may be told: the largest fleet, the usual one, and how long a stall is waited for."""

    fleet: int = 10_000
    servers: int = 1_000
    stall_seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that users may count on. `baseline` says in words what it is compared with.

    `target` is the ratio of ours to the baseline's that is to be reached.
    """

    id: str
    title: str
    unit: str
    baseline: str
    target: float
    better: Better


Measured = dict[str, float]
"""Figure id → what one run gave."""

Measure = Callable[[Options], Awaitable[Measured]]


@dataclass(frozen=True, slots=True)
class Case:
    """Figures that are measured together."""

    figures: tuple[Figure, ...]
    ours: Measure
    baseline: Measure


@dataclass(frozen=True, slots=True)
class Outcome:
    """What all runs of a figure gave, pair by pair; `fleet` servers were in the largest one, `machine` is in words."""

    figure: Figure
    ours: Sequence[float]
    baseline: Sequence[float]
    fleet: int
    machine: str

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios: a machine whose speed drifts bends both halves of a pair."""
        return statistics.median(self.ratios)

    @property
    def ratios(self) -> list[float]:
        """Ours to the baseline's, of each pair."""
        return [ours / baseline for ours, baseline in zip(self.ours, self.baseline, strict=True)]

    @property
    def spread(self) -> float:
        """The distance between the best and the worst ratio, as a part of the median one."""
        return (max(self.ratios) - min(self.ratios)) / self.ratio

    @property
    def reached(self) -> bool:
        """Whether the target was met."""
        better_is_more = self.figure.better == "higher"
        return self.ratio >= self.figure.target if better_is_more else self.ratio <= self.figure.target
