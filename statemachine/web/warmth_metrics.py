"""Metrics of how warm the fleet and its groups were; single servers are left out."""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from statemachine.warmth import Figures, Survey, Warmth, WarmthUnknownError

Row = tuple[Sequence[str], Figures]


class WarmthCollector(Collector):
    """Collect the figures of `survey`, which `refresh` sets before each scrape; None if there are none yet."""

    def __init__(self) -> None:
        self.survey: Survey | None = None

    async def refresh(self, warmth: Warmth) -> None:
        """Update the figures. Called on the event loop."""
        try:
            self.survey = await warmth.survey()
        except WarmthUnknownError:
            self.survey = None

    @override
    def collect(self) -> Iterable[Metric]:
        """Collect at each scrape, in a thread."""
        if self.survey is None:
            return
        fleet = [((window,), figures) for window, figures in self.survey.fleet.windows.items()]
        groups = [
            ((group, window), figures)
            for group, scope in self.survey.groups.items()
            for window, figures in scope.windows.items()
        ]
        yield from _families("comfywarm_fleet", ["window"], fleet)
        yield from _families("comfywarm_group", ["group", "window"], groups)


def _families(prefix: str, labels: list[str], rows: Sequence[Row]) -> Iterator[Metric]:
    for name, (help_text, values) in _values(rows).items():
        family = GaugeMetricFamily(f"{prefix}_{name}", help_text, labels=labels)
        for (label_values, _), value in zip(rows, values, strict=True):
            if value is not None:
                family.add_metric(label_values, value)
        yield family
    failed = GaugeMetricFamily(
        f"{prefix}_failed_attempts", "Warm-ups that failed in the window.", labels=[*labels, "reason"]
    )
    for label_values, figures in rows:
        for reason, count in figures.failed_attempts.items():
            failed.add_metric([*label_values, reason], count)
    yield failed


def _values(rows: Sequence[Row]) -> dict[str, tuple[str, list[float | None]]]:
    """Return the help text and the values of each family by name; a value is None if it is unknown."""
    figures = [one for _, one in rows]
    return {
        "warm_ratio": (
            "Time loaded divided by time observed in the window, 0 to 1.",
            [one.warm_share for one in figures],
        ),
        "time_to_warm_p50_seconds": (
            "Time from cold to loaded, median of the warm-ups in the window.",
            [one.time_to_warm_p50_s for one in figures],
        ),
        "time_to_warm_p99_seconds": (
            "Time from cold to loaded, 99th percentile of the warm-ups in the window.",
            [one.time_to_warm_p99_s for one in figures],
        ),
        "evictions": (
            "Servers that were loaded and then found cold without a restart.",
            [one.evictions for one in figures],
        ),
        "attempts": ("Warm-ups that ended in the window.", [one.attempts for one in figures]),
    }
