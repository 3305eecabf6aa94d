"""GET /api/wanted and its metric: how many servers each group wants, for autoscalers."""

from collections.abc import Iterable

from aiohttp import web
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import AwareDatetime
from typing_extensions import override

from statemachine.core.messages import Message
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.publish.serialize import Json, rfc3339
from statemachine.routing.wanted import WantedReason
from statemachine.traffic.group_loads import GroupDemand, GroupLoads
from statemachine.web.ports import WebPorts
from statemachine.web.responses import json_response, rounded, unknown_group
from statemachine.web.route import ApiResponse, Parameter, Route
from statemachine.web.schemas import ApiModel, ErrorSchema


class WantedGroupSchema(ApiModel):
    """How many servers a group wants."""

    group: str
    servers: int
    """Servers that are loaded or will be: all but those that are unreachable, failed or paused."""
    loaded: int
    wanted: int | None
    """Null if it is unknown; `reason` says why."""
    change: int | None
    """How many more (or fewer, if negative) than `servers` are wanted."""
    reason: WantedReason
    """What decides the number."""
    message: str
    """In the daemon's language."""
    message_code: str
    waiting: int
    """Prompts that wait behind a running one."""
    arrivals_per_s: float | None
    """Prompts that arrive in a second, averaged over 15 minutes."""
    run_s: float | None
    """How long a prompt runs on average."""
    expected_wait_s: float | None
    """The mean wait with the present servers; null if it is unknown, or if they are too few and it grows."""


class WantedSchema(ApiModel):
    """How many servers each group wants, by name."""

    generated_at: AwareDatetime
    target_wait_s: float
    """The mean wait that the numbers are computed for, from the settings."""
    groups: list[WantedGroupSchema]


class WantedHandler:
    """Handle GET /api/wanted. `language` is that of the messages."""

    def __init__(self, ports: WebPorts, loads: GroupLoads, language: Language) -> None:
        self._ports = ports
        self._loads = loads
        self._language = language

    def routes(self) -> list[Route]:
        """Return the route that this object handles."""
        responses = (
            ApiResponse(200, "How many servers each group wants", WantedSchema),
            ApiResponse(404, "The group does not exist.", ErrorSchema),
        )
        group = Parameter("query", "group", "Only this group.")
        return [Route("GET", "/api/wanted", self.handle, "Get how many servers are wanted", responses, (group,))]

    async def handle(self, request: web.Request) -> web.Response:
        """Handle GET /api/wanted."""
        group = request.query.get("group")
        found = [one for one in self._loads.demands() if group in {None, one.group}]
        if group is not None and not found:
            raise unknown_group(self._ports.snapshot, group)
        body = {
            "generated_at": rfc3339(self._ports.now()),
            "target_wait_s": self._loads.target_s,
            "groups": [self.group(one) for one in found],
        }
        return json_response(body)

    def group(self, one: GroupDemand) -> Json:
        """Return one group of the answer."""
        count, reason, load = one.wanted.count, one.wanted.reason.value, one.load
        return {
            "group": one.group,
            "servers": one.servers,
            "loaded": one.loaded,
            "wanted": count,
            "change": None if count is None else count - one.servers,
            "reason": reason,
            "message": render(Message(f"wanted.{reason}"), self._language),
            "message_code": f"wanted.{reason}",
            "waiting": load.waiting,
            "arrivals_per_s": rounded(load.arrivals_per_s, 5),
            "run_s": rounded(load.run_s, 1),
            "expected_wait_s": rounded(one.wait_s, 1),
        }


class WantedCollector(Collector):
    """Collect what `refresh` found. A group whose number is unknown has no sample."""

    def __init__(self, loads: GroupLoads) -> None:
        self._loads = loads
        self._found: list[GroupDemand] = []

    def refresh(self) -> None:
        """Compute the numbers, on the event loop."""
        self._found = self._loads.demands()

    @override
    def collect(self) -> Iterable[Metric]:
        """Collect at each scrape, in a thread."""
        wanted = GaugeMetricFamily(
            "comfywarm_wanted_servers",
            "Servers that a group needs for the target wait; absent if unknown.",
            labels=["group"],
        )
        for one in self._found:
            if one.wanted.count is not None:
                wanted.add_metric([one.group], one.wanted.count)
        yield wanted
