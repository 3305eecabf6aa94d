"""Metrics of the requests that were sent to servers: by POST /api/route, and by gateways that report to this daemon."""

from collections.abc import Iterable

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from statemachine.routing.decision import Origin, Why
from statemachine.traffic.decisions import Decided, DecisionLog

MODELS = {False: "ready", True: "missing", None: "unknown"}
"""The label `models` by what was expected when the server was chosen."""


class DecisionCounters:
    """Counts decisions since the daemon's start."""

    def __init__(self, log: DecisionLog) -> None:
        self._requests = Counter(
            "comfywarm_routed_requests",
            "Requests by why they went to their server.",
            ("source", "reason"),
            registry=None,
        )
        self._models = Counter(
            "comfywarm_routed_request_models",
            "Requests by whether their models were expected to be ready.",
            ("source", "models"),
            registry=None,
        )
        for origin in Origin:
            for why in Why:
                self._requests.labels(origin.value, why.value)
            for models in MODELS.values():
                self._models.labels(origin.value, models)
        log.add_listener(self._count)

    @property
    def collectors(self) -> Iterable[MetricWrapperBase]:
        """All collectors, for a registry."""
        return (self._requests, self._models)

    def _count(self, decided: Decided) -> None:
        origin, explanation = decided.origin.value, decided.explanation
        self._requests.labels(origin, explanation.why.value).inc()
        self._models.labels(origin, MODELS[explanation.is_cold]).inc()
