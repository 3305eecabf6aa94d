"""GET /metrics: the current state and the counters for Prometheus, collected at each scrape."""

import asyncio
import platform
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sized

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from typing_extensions import override

from statemachine.core.vocabulary import IN_FLIGHT, State
from statemachine.publish.serialize import StreamMessage
from statemachine.version import version
from statemachine.web.ports import WebPorts
from statemachine.web.route import ApiResponse, Route
from statemachine.web.server_metrics import ServerCollector
from statemachine.web.wanted import WantedCollector
from statemachine.web.warmth_metrics import WarmthCollector

LAG_INTERVAL_S = 0.5


_PLAIN_TEXT = re.compile(r"[ -~]{1,200}")


class MetricsHandler:
    """Handle GET /metrics. `streams` are the open event streams, `more` other collectors."""

    def __init__(self, ports: WebPorts, streams: Sized, wanted: WantedCollector, more: Iterable[Collector]) -> None:
        self._ports = ports
        self._program = ProgramCollector(ports, streams)
        self._registry = CollectorRegistry(auto_describe=False)
        for collector in (
            self._program,
            FleetCollector(ports),
            ServerCollector(ports),
            *ports.counters.collectors,
            *more,
        ):
            self._registry.register(collector)
        self._wanted = wanted
        self._registry.register(wanted)
        self._warmth = WarmthCollector()
        self._registry.register(self._warmth)
        ProcessCollector(registry=self._registry)
        ports.bus.add_listener(self._count)

    def routes(self) -> list[Route]:
        """Return the route that this object handles."""
        text = ApiResponse(200, "Metrics in Prometheus' text format or in OpenMetrics", media_type="text/plain")
        return [Route("GET", "/metrics", self.handle, "Get metrics for Prometheus", (text,))]

    async def handle(self, request: web.Request) -> web.Response:
        """Handle GET /metrics, in OpenMetrics if the client prefers it, else in the text format."""
        encode, content_type = encoder_for(request.headers.get(hdrs.ACCEPT, ""))
        self._program.tasks = len(asyncio.all_tasks())
        self._ports.counters.add_groups(view.group for view in self._ports.snapshot)
        await self._warmth.refresh(self._ports.warmth)
        self._wanted.refresh()
        # In a thread, because thousands of servers would block the event loop for too long.
        body = await asyncio.to_thread(encode, self._registry)
        return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

    def _count(self, message: StreamMessage) -> None:
        if message.server is None or self._ports.owns(message.server):
            self._ports.counters.count_message(message)

    async def watch_loop(self, _app: web.Application) -> AsyncIterator[None]:
        """Measure the lag of the event loop while the application runs."""
        task = asyncio.create_task(self._measure_lag())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _measure_lag(self) -> None:
        while True:
            due = time.perf_counter() + LAG_INTERVAL_S
            await asyncio.sleep(LAG_INTERVAL_S)
            self._ports.counters.observe_loop_lag(max(0.0, time.perf_counter() - due))


class ProgramCollector(Collector):
    """Collect metrics of the daemon itself. `tasks` is set on the event loop."""

    def __init__(self, ports: WebPorts, streams: Sized) -> None:
        self._ports = ports
        self._streams = streams
        self._build_info = _build_info()
        self.tasks = 0

    @override
    def collect(self) -> Iterable[Metric]:
        """Collect at each scrape, in a thread."""
        yield self._build_info
        ready = self._ports.snapshot.has_first_verdicts
        yield _gauge("ready", "1 once every server has a first verdict.", ready)
        yield _gauge("asyncio_tasks", "Tasks on the event loop.", self.tasks)
        yield _gauge("event_streams", "Open streams of /api/events.", len(self._streams))
        journal = self._ports.journal
        yield _gauge("journal_healthy", "1 while the journal can be written.", journal.healthy)
        yield _gauge("journal_pending_entries", "Entries waiting to be written.", journal.waiting)
        yield CounterMetricFamily(
            "comfywarm_journal_dropped_entries",
            "Entries dropped because the journal could not be written for too long.",
            journal.dropped,
        )


class FleetCollector(Collector):
    """Collect the number of servers in each state: ten series for each group."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports

    @override
    def collect(self) -> Iterable[Metric]:
        """Collect at each scrape, in a thread; the views are immutable."""
        counts = Counter((view.group, view.state) for view in self._ports.snapshot if self._ports.owns(view.name))
        servers = GaugeMetricFamily("comfywarm_servers", "Servers in each state.", labels=["group", "state"])
        for group in sorted({group for group, _ in counts}):
            for state in State:
                servers.add_metric([group, state.value], counts[group, state])
        yield servers
        in_flight = sum(count for (_, state), count in counts.items() if state in IN_FLIGHT)
        yield _gauge("warmups_in_flight", "Warm-ups that are being submitted or are running on a server.", in_flight)


def encoder_for(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """Return the encoder that the client prefers, and its content type; a malformed preference does not count."""
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):
        return choose_encoder("")
    return (encode, content_type) if _PLAIN_TEXT.fullmatch(content_type) else choose_encoder("")


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"comfywarm_{name}", help_text, value=float(value))


def _build_info() -> GaugeMetricFamily:
    info = GaugeMetricFamily("comfywarm_build_info", "Version of comfywarm; always 1.", labels=["version", "python"])
    info.add_metric([version(), platform.python_version()], 1)
    return info
