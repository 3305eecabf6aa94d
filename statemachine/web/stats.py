"""GET /api/stats: how warm the fleet, its groups and its servers were."""

import asyncio
from http import HTTPStatus

from aiohttp import web

from statemachine.publish.serialize import Json, rfc3339
from statemachine.warmth import Figures, Scope, Survey, WarmthUnknownError
from statemachine.web.api import existing_server
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response

SLICE = 25
"""Servers rendered before others have their turn."""


class Stats:
    """The route's handler."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports

    async def handle(self, request: web.Request) -> web.Response:
        """GET /api/stats"""
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
            if number % SLICE == 0:
                await asyncio.sleep(0)
        return servers


def _wants_all_servers(request: web.Request) -> bool:
    wanted = request.query.get("servers", "true")
    if wanted not in {"true", "false"}:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_servers", f"servers must be true or false, not {wanted[:50]!r}")
    return wanted == "true"


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
        "warm_share": _rounded(figures.warm_share, 6),
        "time_to_warm_s": {
            "count": figures.warmed,
            "p50": _rounded(figures.time_to_warm_p50_s, 3),
            "p99": _rounded(figures.time_to_warm_p99_s, 3),
        },
        "evictions": figures.evictions,
        "attempts": figures.attempts,
        "failed_attempts": dict(figures.failed_attempts),
    }


def _trend(scope: Scope) -> list[Json]:
    return [{"at": rfc3339(point.at), "warm_share": _rounded(point.warm_share, 6)} for point in scope.trend]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
