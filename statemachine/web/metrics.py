"""GET /metrics: the snapshot for Prometheus, read when asked and kept nowhere else."""

import asyncio
from collections.abc import Iterable, Iterator

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from typing_extensions import override

from statemachine.core.vocabulary import State
from statemachine.publish.view import ServerDetail, ServerView
from statemachine.web.ports import WebPorts

_LABELS = ["server", "group"]


class Metrics:
    """The route's handler."""

    def __init__(self, ports: WebPorts) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._fleet = FleetCollector(ports)
        self._registry.register(self._fleet)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer in the text format, or in OpenMetrics to those who prefer it."""
        encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
        self._fleet.tasks = len(asyncio.all_tasks())
        # In a thread: thousands of servers take longer than the loop should wait.
        body = await asyncio.to_thread(encode, self._registry)
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


class FleetCollector(Collector):
    """As many series as servers times their metrics, and one for each state. `tasks` is counted on the loop."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports
        self.tasks = 0

    @override
    def collect(self) -> Iterable[Metric]:
        """Called for each scrape, in a thread; views are immutable and counters are copied."""
        yield self._states()
        yield from self._program()
        servers = [(view, self._ports.snapshot.detail(view.name)) for view in self._ports.snapshot]
        yield from _server_gauges(servers)
        yield _events(servers)

    def _states(self) -> Metric:
        family = GaugeMetricFamily("comfywarm_servers", "Servers in each state.", labels=["state"])
        counts = self._ports.snapshot.states
        for state in State:
            family.add_metric([state.value], counts.get(state, 0))
        return family

    def _program(self) -> Iterator[Metric]:
        journal = self._ports.journal
        yield GaugeMetricFamily("comfywarm_asyncio_tasks", "Tasks on the event loop.", value=self.tasks)
        yield GaugeMetricFamily("comfywarm_event_streams", "Readers of /api/events.", value=len(self._ports.bus))
        yield GaugeMetricFamily(
            "comfywarm_journal_healthy", "1 while the journal can be written.", value=int(journal.healthy)
        )
        yield CounterMetricFamily(
            "comfywarm_journal_dropped_entries", "Entries lost because the journal stayed unwritable.", journal.dropped
        )


def _server_gauges(servers: list[tuple[ServerView, ServerDetail]]) -> Iterator[Metric]:
    """A sample for each server that has the value."""
    families = {
        name: GaugeMetricFamily(f"comfywarm_server_{name}", help_text, labels=_LABELS)
        for name, help_text in _GAUGES.items()
    }
    for view, detail in servers:
        for name, value in _values(view, detail).items():
            if value is not None:
                families[name].add_metric([view.name, view.group], value)
    yield from families.values()


_GAUGES = {
    "loaded": "1 while everything asked for is cached.",
    "missing_keys": "Keys that the newest check misses.",
    "state_since_timestamp_seconds": "When the server entered its state.",
    "last_check_timestamp_seconds": "When the cache was last checked.",
    "check_duration_seconds": "How long the newest check took.",
    "queue_remaining": "Prompts queued or running on the server.",
    "warming_progress_ratio": "Progress of the warm-up under way, 0 to 1.",
    "link_connected": "1 while the /ws connection delivers.",
}


def _values(view: ServerView, detail: ServerDetail) -> dict[str, float | None]:
    """One value for each of `_GAUGES`, None where it is not known."""
    return {
        "loaded": int(view.cache_loaded),
        "missing_keys": len(view.missing),
        "state_since_timestamp_seconds": view.since,
        "last_check_timestamp_seconds": view.last_check,
        "check_duration_seconds": None if detail.check.ms is None else detail.check.ms / 1000,
        "queue_remaining": view.queue_remaining,
        "warming_progress_ratio": view.progress,
        "link_connected": int(detail.link.connected),
    }


def _events(servers: list[tuple[ServerView, ServerDetail]]) -> Metric:
    family = CounterMetricFamily(
        "comfywarm_server_events", "What happened since the daemon's start.", labels=[*_LABELS, "event"]
    )
    for view, detail in servers:
        for event, count in dict(detail.counters).items():
            family.add_metric([view.name, view.group, event], count)
    return family
