"""GET /api/stats: how warm the fleet, its groups and its servers were."""

import asyncio
from http import HTTPStatus

from aiohttp import web
from pydantic import AwareDatetime, Field

from statemachine.core.vocabulary import Reason
from statemachine.publish.serialize import Json, rfc3339
from statemachine.warmth import Figures, Scope, Survey, WarmthUnknownError
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, existing_server, json_response, quoted, rounded
from statemachine.web.route import UNKNOWN_SERVER, ApiResponse, Parameter, Route
from statemachine.web.schemas import ApiModel, ErrorSchema

YIELD_EVERY = 25
"""Servers that are serialized before other tasks may run."""


class TimeToWarmSchema(ApiModel):
    """Time from the verdict `cold` to `loaded`, in seconds, over the warm-ups of a window."""

    count: int
    p50: float | None
    p99: float | None


class WarmthFiguresSchema(ApiModel):
    """How warm the servers were in one window, which ends now."""

    warm_share: float | None = Field(ge=0, le=1)
    """Time loaded divided by time observed; null if nothing was observed."""
    time_to_warm_s: TimeToWarmSchema
    evictions: int
    attempts: int
    """Number of warm-ups that ended."""
    failed_attempts: dict[Reason, int]
    """Number of warm-ups that failed, by reason."""


class WarmthWindowsSchema(ApiModel):
    """The same figures over three windows."""

    last_hour: WarmthFiguresSchema = Field(alias="1h")
    last_day: WarmthFiguresSchema = Field(alias="24h")
    last_week: WarmthFiguresSchema = Field(alias="7d")


class WarmthPointSchema(ApiModel):
    """The warm share of one clock hour."""

    at: AwareDatetime
    """Start of the hour."""
    warm_share: float | None = Field(ge=0, le=1)


class WarmthTrendSchema(ApiModel):
    """The last 24 clock hours, oldest first; the last one is still in progress."""

    fleet: list[WarmthPointSchema]
    groups: dict[str, list[WarmthPointSchema]]


class ServerWarmthTrendSchema(WarmthTrendSchema):
    """The trend with the hours of the requested server."""

    server: list[WarmthPointSchema]


class StatsSchema(ApiModel):
    """How warm the fleet was."""

    generated_at: AwareDatetime
    """End of all windows."""
    fleet: WarmthWindowsSchema
    groups: dict[str, WarmthWindowsSchema]
    servers: dict[str, WarmthWindowsSchema]
    trend: WarmthTrendSchema | ServerWarmthTrendSchema


class StatsHandler:
    """Handle GET /api/stats."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports

    def routes(self) -> list[Route]:
        """Return the route that this object handles."""
        responses = (
            ApiResponse(200, "Warm shares, times to warm, evictions and failed attempts", StatsSchema),
            ApiResponse(400, "`servers` is neither true nor false.", ErrorSchema),
            UNKNOWN_SERVER,
            ApiResponse(503, "The journal has not been read completely yet.", ErrorSchema),
        )
        parameters = (
            Parameter("query", "server", "Include only this server, and its trend."),
            Parameter(
                "query", "servers", "Whether to include the figures of every server, true by default.", "boolean"
            ),
        )
        summary = "Get statistics on how warm the fleet was"
        return [Route("GET", "/api/stats", self.handle, summary, responses, parameters)]

    async def handle(self, request: web.Request) -> web.Response:
        """Handle GET /api/stats."""
        all_servers = _wants_all_servers(request)
        name = request.query.get("server")
        if name is not None:
            existing_server(self._ports.snapshot, name)
        try:
            survey = await self._ports.warmth.survey()
        except WarmthUnknownError as error:
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "warmth_unknown", str(error)) from error
        body = _body(survey)
        if name is not None:
            scope = self._ports.warmth.server(name, survey.moments)
            body["servers"][name], body["trend"]["server"] = _windows(scope), _trend(scope)
        elif all_servers:
            body["servers"] = await self._servers(survey)
        return json_response(body)

    async def _servers(self, survey: Survey) -> Json:
        servers: Json = {}
        for number, view in enumerate(self._ports.snapshot, start=1):
            servers[view.name] = _windows(self._ports.warmth.server(view.name, survey.moments))
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return servers


def _wants_all_servers(request: web.Request) -> bool:
    value = request.query.get("servers", "true")
    if value not in {"true", "false"}:
        message = f"invalid servers {quoted(value)}; pass true or false"
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_servers", message)
    return value == "true"


def _body(survey: Survey) -> Json:
    return {
        "generated_at": rfc3339(survey.moments.now),
        "fleet": _windows(survey.fleet),
        "groups": {name: _windows(scope) for name, scope in survey.groups.items()},
        "servers": {},
        "trend": {
            "fleet": _trend(survey.fleet),
            "groups": {name: _trend(scope) for name, scope in survey.groups.items()},
        },
    }


def _windows(scope: Scope) -> Json:
    return {name: _figures(figures) for name, figures in scope.windows.items()}


def _figures(figures: Figures) -> Json:
    return {
        "warm_share": rounded(figures.warm_share, 6),
        "time_to_warm_s": {
            "count": figures.warmed,
            "p50": rounded(figures.time_to_warm_p50_s, 3),
            "p99": rounded(figures.time_to_warm_p99_s, 3),
        },
        "evictions": figures.evictions,
        "attempts": figures.attempts,
        "failed_attempts": dict(figures.failed_attempts),
    }


def _trend(scope: Scope) -> list[Json]:
    return [{"at": rfc3339(point.at), "warm_share": rounded(point.warm_share, 6)} for point in scope.trend]
