"""GET /api/trends: the last day of some servers by the hour, for the rows that the page shows."""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus

from aiohttp import web
from pydantic import AwareDatetime

from statemachine.publish.serialize import Json, rfc3339
from statemachine.warmth import Moments, WarmthUnknownError
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response
from statemachine.web.route import ApiResponse, Parameter, Route
from statemachine.web.schemas import ApiModel, ErrorSchema

MAX_SERVERS = 100
YIELD_EVERY = 25
"""Servers that are computed before other tasks may run."""

DIGITS = 3


class TrendsSchema(ApiModel):
    """The warm shares of the last 24 clock hours, oldest first; the last hour is still in progress."""

    generated_at: AwareDatetime
    hours: list[AwareDatetime]
    """Start of each hour."""
    servers: dict[str, list[float | None]]
    """The warm share (0 to 1) of each hour; null if nothing was observed. Unknown servers are left out."""


class TrendsHandler:
    """Handle GET /api/trends."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports

    def routes(self) -> list[Route]:
        """Return the route that this object handles."""
        responses = (
            ApiResponse(200, "The warm share of each hour", TrendsSchema),
            ApiResponse(400, f"More than {MAX_SERVERS} servers are named.", ErrorSchema),
            ApiResponse(503, "The journal has not been read completely yet.", ErrorSchema),
        )
        names = {"type": "array", "items": {"type": "string"}}
        parameter = Parameter("query", "server", f"Names of servers, at most {MAX_SERVERS}.", schema=names)
        summary = "Get the last day of some servers by the hour"
        return [Route("GET", "/api/trends", self.handle, summary, responses, (parameter,))]

    async def handle(self, request: web.Request) -> web.Response:
        """Handle GET /api/trends."""
        names = dict.fromkeys(request.query.getall("server", []))
        if len(names) > MAX_SERVERS:
            message = f"{len(names)} servers are named; name at most {MAX_SERVERS}"
            raise ApiError(HTTPStatus.BAD_REQUEST, "too_many_servers", message)
        try:
            moments = await self._ports.warmth.moments()
        except WarmthUnknownError as error:
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "warmth_unknown", str(error)) from error
        hours = [rfc3339(hour) for hour in moments.hours]
        servers = await self._trends(filter(self._ports.snapshot.get, names), moments)
        return json_response({"generated_at": rfc3339(moments.now), "hours": hours, "servers": servers})

    async def _trends(self, names: Iterable[str], moments: Moments) -> Json:
        trends: Json = {}
        for number, name in enumerate(names, start=1):
            trend = self._ports.warmth.server(name, moments).trend
            trends[name] = [_rounded(point.warm_share) for point in trend]
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        return trends


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, DIGITS)
