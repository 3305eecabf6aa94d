"""GET /api/route and GET /api/http_sd: where warm servers are, and where all servers are."""

import asyncio
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from statemachine.core.view import ServerView
from statemachine.publish.serialize import Json
from statemachine.settings.expand import host_and_port
from statemachine.traffic.router import Router
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response

RETRY_AFTER_S = 1


class Traffic:
    """The routes' handlers."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports
        self._router = Router(ports.uniform)

    async def route(self, request: web.Request) -> web.Response:
        """GET /api/route"""
        candidates = self._candidates(request.query.get("workflow"), request.query.get("group"))
        chosen = self._router.choose(candidates, asyncio.get_running_loop().time())
        if chosen is None:
            message = f"none of {len(candidates)} servers is loaded"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "none_warm", message, {"Retry-After": str(RETRY_AFTER_S)})
        return json_response(_routed(chosen))

    async def http_sd(self, _request: web.Request) -> web.Response:
        """GET /api/http_sd"""
        return json_response([_target(view) for view in self._ports.snapshot])

    def _candidates(self, workflow: str | None, group: str | None) -> list[ServerView]:
        """ApiError 404 where no server is of that group, or none of these has that workflow."""
        grouped = [view for view in self._ports.snapshot if group is None or view.group == group]
        if group is not None and not grouped:
            raise ApiError(HTTPStatus.NOT_FOUND, "unknown_group", f"there is no group named {group}")
        candidates = [view for view in grouped if workflow is None or workflow in view.workflows]
        if workflow is not None and not candidates:
            where = "no server" if group is None else f"no server of group {group}"
            raise ApiError(HTTPStatus.NOT_FOUND, "unknown_workflow", f"{where} has a workflow named {workflow}")
        return candidates


def _routed(view: ServerView) -> Json:
    return {
        "server": view.name,
        "url": view.url,
        "group": view.group,
        "queue_remaining": view.queue_remaining,
    }


def _target(view: ServerView) -> Json:
    """One server for Prometheus' http_sd. Its labels change only with the settings.

    The state is a `__meta_` label: relabelling may read it, and without that no series ever carries it.
    """
    url = urlsplit(view.url)
    labels = {"server": view.name, "group": view.group, "__scheme__": url.scheme}
    if path := url.path.rstrip("/"):
        labels["__metrics_path__"] = f"{path}/metrics"
    return {"targets": [host_and_port(view.url)], "labels": labels | {"__meta_comfywarm_state": view.state.value}}
