"""Metrics of single servers: at most one series for each server in a family."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from statemachine.core.server import ServerView
from statemachine.core.vocabulary import State
from statemachine.publish.snapshot import ServerDetail
from statemachine.web.ports import WebPorts

Server = tuple[ServerView, ServerDetail]

_LABELS = ("server", "group")


class ServerCollector(Collector):
    """Collect the metrics of every server that this daemon owns."""

    def __init__(self, ports: WebPorts) -> None:
        self._snapshot = ports.snapshot
        self._owns = ports.owns

    @override
    def collect(self) -> Iterable[Metric]:
        """Collect at each scrape, in a thread; views are immutable and counters are copied."""
        servers = [(view, self._snapshot.detail(view.name)) for view in self._snapshot if self._owns(view.name)]
        yield _states(servers)
        yield from _gauges(servers)
        yield from _counters(servers)


def _states(servers: list[Server]) -> Metric:
    """Return one series for each server, for its current state only."""
    family = GaugeMetricFamily(
        "comfywarm_server_state",
        "Current state of the server and the reason for it; always 1.",
        labels=[*_LABELS, "state", "reason"],
    )
    for view, _ in servers:
        family.add_metric([view.name, view.group, view.state.value, view.reason.value], 1)
    return family


def _gauges(servers: list[Server]) -> Iterator[Metric]:
    """Return the gauges, with a sample for each server that has a value."""
    families = {name: GaugeMetricFamily(f"comfywarm_server_{name}", text, labels=_LABELS) for name, text in _GAUGES}
    for view, detail in servers:
        labels = [view.name, view.group]
        for family, value in zip(families.values(), _values(view, detail), strict=True):
            if value is not None:
                family.add_metric(labels, value)
    yield from families.values()


_GAUGES = (
    ("loaded", "1 while every requested key is cached."),
    ("missing_keys", "Keys that were missing in the latest check."),
    ("level", "Lowest level of its keys: 1 key only, 2 RAM, 3 VRAM; no sample if it is not observed."),
    ("state_since_timestamp_seconds", "Time at which the server entered its state."),
    ("last_check_timestamp_seconds", "Time of the latest cache check."),
    ("check_duration_seconds", "Duration of the latest cache check."),
    ("queue_remaining", "Prompts queued or running on the server."),
    ("warming_progress_ratio", "Progress of the running warm-up, 0 to 1."),
    ("link_connected", "1 while the /ws connection delivers messages."),
)


def _values(view: ServerView, detail: ServerDetail) -> tuple[float | None, ...]:
    """Return one value for each of `_GAUGES`, None if it is unknown."""
    return (
        int(view.cache_loaded),
        len(view.missing),
        view.level,
        view.since,
        view.last_check,
        None if detail.check.ms is None else detail.check.ms / 1000,
        view.queue_remaining,
        view.progress,
        int(detail.link.connected),
    )


def _counters(servers: list[Server]) -> Iterator[Metric]:
    """Return the counters. They restart with the daemon, and when the server's settings change."""
    families = {name: CounterMetricFamily(f"comfywarm_server_{name}", text, labels=_LABELS) for name, text in _COUNTERS}
    for view, detail in servers:
        labels = [view.name, view.group]
        for family, value in zip(families.values(), _counts(detail), strict=True):
            family.add_metric(labels, value)
    yield from families.values()


_COUNTERS = (
    ("checks", "Cache checks that received a response."),
    ("unanswered_checks", "Cache checks that received no response."),
    ("submissions", "Warm-ups that were submitted."),
    ("transitions", "Changes of state."),
    ("link_connects", "Number of times that the /ws connection was opened."),
    ("unheard_ends", "Ends of our prompts that were found in the history and not received over /ws."),
)


def _counts(detail: ServerDetail) -> tuple[int, ...]:
    """Return one value for each of `_COUNTERS`."""
    counters = dict(detail.counters)
    return (
        counters.get("checks", 0),
        counters.get("checks_unanswered", 0),
        counters.get("submissions", 0),
        sum(counters.get(f"to_{state.value}", 0) for state in State),
        detail.link.connects,
        counters.get("ends_unheard", 0),
    )
