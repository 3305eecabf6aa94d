"""The gateway's own metrics. Label values are fixed words, or names of servers and clients of the settings."""

import time
from collections.abc import Collection, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from statemachine.gateway import frames
from statemachine.gateway.fleet_view import FleetView, rank
from statemachine.gateway.ledger import Ledger
from statemachine.gateway.records import PromptRecord, Stage
from statemachine.gateway.sockets import Sockets
from statemachine.routing.decision import Explanation, Why
from statemachine.web.decision_metrics import MODELS

WAIT_BUCKETS_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
LIMITS = ("prompts", "requests", "connections")
OUTCOMES = {frames.SUCCESS: "succeeded", frames.ERROR: "failed", frames.INTERRUPTED: "interrupted"}
OTHER_OUTCOMES = ("deleted", "lost")


class GatewayMetrics:
    """Counters of the gateway since its start."""

    def __init__(self, clients: Collection[str], servers: Collection[str]) -> None:
        self._prompts = _counter("prompts", "Posted prompts, by why they went to their server.", "reason")
        self._models = _counter(
            "prompt_models", "Posted prompts, by whether their models were expected to be ready.", "models"
        )
        self._ended = _counter("prompts_ended", "Prompts that ended, by outcome.", "outcome")
        self._limits = _counter("limits_reached", "Requests refused by a limit of their client.", "client", "limit")
        self._losses = _counter("server_losses", "Ends of the /ws connection to a server.", "server")
        self._waits = Histogram(
            "comfywarm_gateway_wait_seconds",
            "Time from the request of a prompt to the start of its work.",
            buckets=WAIT_BUCKETS_S,
            registry=None,
        )
        self._servers: set[str] = set()
        self._start_at_zero(clients)
        self.set_servers(servers)

    @property
    def collectors(self) -> Iterable[Collector]:
        """All collectors, for a registry."""
        return (self._prompts, self._models, self._ended, self._limits, self._losses, self._waits)

    def decided(self, explanation: Explanation) -> None:
        """Count a prompt that was posted to a server."""
        self._prompts.labels(explanation.why.value).inc()
        self._models.labels(MODELS[explanation.is_cold]).inc()

    def started(self, record: PromptRecord) -> None:
        """Record how long a prompt has waited."""
        self._waits.observe(max(0.0, time.time() - record.at))

    def ended(self, record: PromptRecord) -> None:
        """Count the end of a prompt that this gateway posted."""
        if record.is_adopted:
            return
        kind = "" if not record.end else str(record.end[0])
        outcome = "lost" if record.error else OUTCOMES.get(kind, "deleted")
        self._ended.labels(outcome).inc()

    def limit_reached(self, client: str, limit: str) -> None:
        """Count a request that a limit has refused."""
        self._limits.labels(client, limit).inc()

    def server_lost(self, server: str) -> None:
        """Count the end of the connection to a server, unless it has left."""
        if server in self._servers:
            self._losses.labels(server).inc()

    def set_servers(self, servers: Iterable[str]) -> None:
        """Have a counter for each of these servers, and none for those that have left."""
        present = set(servers)
        for name in self._servers - present:
            self._losses.remove(name)
        for name in present - self._servers:
            self._losses.labels(name)
        self._servers = present

    def _start_at_zero(self, clients: Collection[str]) -> None:
        """Start every counter at 0, because `rate()` ignores the first value of a series."""
        for why in Why:
            self._prompts.labels(why.value)
        for models in MODELS.values():
            self._models.labels(models)
        for outcome in (*OUTCOMES.values(), *OTHER_OUTCOMES):
            self._ended.labels(outcome)
        for client in clients:
            for limit in LIMITS:
                self._limits.labels(client, limit)


class GatewayCollector(Collector):
    """Collects the present state of the gateway at each scrape."""

    def __init__(self, ledger: Ledger, view: FleetView, sockets: Sockets) -> None:
        self._ledger = ledger
        self._view = view
        self._sockets = sockets

    @override
    def collect(self) -> Iterable[Metric]:
        """Collect on the event loop: the parts are not to be read from a thread."""
        held = GaugeMetricFamily(
            "comfywarm_gateway_open_prompts", "Prompts that have not ended, by stage.", labels=["stage"]
        )
        for stage in (Stage.POSTING, Stage.ACCEPTED):
            held.add_metric([stage.value], self._ledger.open_count(stage))
        yield held
        candidates = list(self._view)
        usable = sum(rank(one) is not None for one in candidates)
        yield _gauge("usable_servers", "Servers that may get prompts.", usable)
        yield _gauge("connected_servers", "Servers whose frames arrive.", sum(one.is_counted for one in candidates))
        yield _gauge("client_connections", "Open /ws connections of clients.", len(self._sockets))


def build_registry(metrics: GatewayMetrics, collector: GatewayCollector) -> CollectorRegistry:
    """Return the registry of everything that /metrics shows."""
    registry = CollectorRegistry(auto_describe=False)
    for one in (*metrics.collectors, collector):
        registry.register(one)
    ProcessCollector(registry=registry)
    return registry


def _counter(name: str, help_text: str, *labels: str) -> Counter:
    return Counter(f"comfywarm_gateway_{name}", help_text, labels, registry=None)


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"comfywarm_gateway_{name}", help_text, value=value)
