"""GET /api/alerts: the active alerts, and the maintenance windows that silence them."""

from typing import Any

from aiohttp import web
from pydantic import AwareDatetime

from statemachine.core.vocabulary import State
from statemachine.settings.maintenance import Weekday
from statemachine.web.ports import WebPorts
from statemachine.web.responses import json_response
from statemachine.web.route import ApiResponse, Route
from statemachine.web.schemas import ApiModel


class AlertSchema(ApiModel):
    """An alert that has lasted for its rule's `for_s`."""

    rule: str
    server: str | None
    """Null for a notice."""
    group: str | None
    state: State | None
    reason: str
    since: AwareDatetime
    announced: bool
    """Whether it was sent; otherwise it waits for others, or for a window to end."""
    silenced_by: str | None
    """Name of the maintenance window that silences it."""
    silenced_until: AwareDatetime | None
    message: str
    message_code: str | None
    message_params: dict[str, Any]


class WindowSchema(ApiModel):
    """A maintenance window of the settings."""

    name: str
    cron: str | None
    """Null if `days` and `at` say when it starts."""
    days: list[Weekday]
    at: str | None
    """Null if `cron` says when it starts."""
    duration: str
    zone: str
    groups: list[str]
    open_until: AwareDatetime | None
    """Null while it is not open."""
    next_start: AwareDatetime


class AlertsSchema(ApiModel):
    """The active alerts of this daemon's rules, and the windows."""

    total: int
    alerts: list[AlertSchema]
    """At most 500: announced ones first, then the oldest."""
    windows: list[WindowSchema]


class AlertsHandler:
    """Handle GET /api/alerts."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports

    def routes(self) -> list[Route]:
        """Return the route that this object handles."""
        found = ApiResponse(200, "The active alerts and what silences them", AlertsSchema)
        return [Route("GET", "/api/alerts", self.handle, "Get the active alerts", (found,))]

    async def handle(self, _request: web.Request) -> web.Response:
        """Handle GET /api/alerts."""
        return json_response(self._ports.alerts())
