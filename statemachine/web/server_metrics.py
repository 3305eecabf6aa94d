"""What /metrics says of each single server: never more than one series a family for each."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from statemachine.core.view import ServerView
from statemachine.core.vocabulary import State
from statemachine.publish.server_detail import ServerDetail
from statemachine.web.ports import WebPorts

Server = tuple[ServerView, ServerDetail]

_LABELS = ("server", "group")


class ServerCollector(Collector):
    """As many series as there are servers times families."""

    def __init__(self, ports: WebPorts) -> None:
        self._snapshot = ports.snapshot
        self._owns = ports.owns

    @override
    def collect(self) -> Iterable[Metric]:
        """Called for each scrape, in a thread; views are immutable and counters are copied."""
        servers = [(view, self._snapshot.detail(view.name)) for view in self._snapshot if self._owns(view.name)]
        yield _states(servers)
        yield from _gauges(servers)
        yield from _counters(servers)


def _states(servers: list[Server]) -> Metric:
    """One series for each server: where it was before is told by its absence."""
    family = GaugeMetricFamily(
        "comfywarm_server_state", "Where the server stands, and why; always 1.", labels=[*_LABELS, "state", "reason"]
    )
    for view, _ in servers:
        family.add_metric([view.name, view.group, view.state.value, view.reason.value], 1)
    return family


def _gauges(servers: list[Server]) -> Iterator[Metric]:
    """A sample for each server that has the value."""
    families = {name: GaugeMetricFamily(f"comfywarm_server_{name}", text, labels=_LABELS) for name, text in _GAUGES}
    for view, detail in servers:
        labels = [view.name, view.group]
        for family, value in zip(families.values(), _values(view, detail), strict=True):
            if value is not None:
                family.add_metric(labels, value)
    yield from families.values()


_GAUGES = (
    ("loaded", "1 while everything asked for is cached."),
    ("missing_keys", "Keys that the newest check misses."),
    ("state_since_timestamp_seconds", "When the server entered its state."),
    ("last_check_timestamp_seconds", "When the cache was last checked."),
    ("check_duration_seconds", "How long the newest check took."),
    ("queue_remaining", "Prompts queued or running on the server."),
    ("warming_progress_ratio", "Progress of the warm-up under way, 0 to 1."),
    ("link_connected", "1 while the /ws connection delivers."),
)


def _values(view: ServerView, detail: ServerDetail) -> tuple[float | None, ...]:
    """One value for each of `_GAUGES`, None where it is not known."""
    return (
        int(view.cache_loaded),
        len(view.missing),
        view.since,
        view.last_check,
        None if detail.check.ms is None else detail.check.ms / 1000,
        view.queue_remaining,
        view.progress,
        int(detail.link.connected),
    )


def _counters(servers: list[Server]) -> Iterator[Metric]:
    """What the server's own counters say. They begin anew with the daemon, and where the server's settings change."""
    families = {name: CounterMetricFamily(f"comfywarm_server_{name}", text, labels=_LABELS) for name, text in _COUNTERS}
    for view, detail in servers:
        labels = [view.name, view.group]
        for family, value in zip(families.values(), _counts(detail), strict=True):
            family.add_metric(labels, value)
    yield from families.values()


_COUNTERS = (
    ("checks", "Cache checks that were answered."),
    ("unanswered_checks", "Cache checks that no answer came to."),
    ("submissions", "Warm-ups that were submitted."),
    ("transitions", "Changes of state."),
    ("link_connects", "Times that the /ws connection was opened."),
    ("unheard_ends", "Ends of our prompts that stood in history and were not told over /ws."),
)


def _counts(detail: ServerDetail) -> tuple[int, ...]:
    """One value for each of `_COUNTERS`."""
    counters = dict(detail.counters)
    return (
        counters.get("checks", 0),
        counters.get("checks_unanswered", 0),
        counters.get("submissions", 0),
        sum(counters.get(f"to_{state.value}", 0) for state in State),
        detail.link.connects,
        counters.get("ends_unheard", 0),
    )
