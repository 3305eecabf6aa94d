"""GET /api/route and GET /api/http_sd: choose a warm server, and list all servers for Prometheus."""

import asyncio
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import ConfigDict, RootModel

from statemachine.core.server import ServerView
from statemachine.publish import serialize
from statemachine.publish.serialize import Json
from statemachine.publish.snapshot import Snapshot
from statemachine.settings.expand import host_and_port
from statemachine.traffic.router import Router
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response, quoted, unknown_group
from statemachine.web.route import ApiResponse, Parameter, Route
from statemachine.web.schemas import ApiModel, ErrorSchema, LevelWord, component_name

RETRY_AFTER_S = 1


class RoutedServerSchema(ApiModel):
    """A warm server for the next request."""

    server: str
    url: str
    group: str
    queue_remaining: int | None
    """Number of prompts queued or running on the server; null if unknown."""
    level: LevelWord | None
    """The lowest level of its keys; null if it is not observed."""


class TargetSchema(ApiModel):
    """One server as a Prometheus target."""

    targets: list[str]
    """One host:port."""
    labels: dict[str, str]


class TargetsSchema(RootModel[list[TargetSchema]]):
    """Every server, in Prometheus' http_sd format."""

    model_config = ConfigDict(model_title_generator=component_name)


class TrafficHandler:
    """Handle the routes that direct traffic to servers."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports
        self._router = Router(ports.uniform)

    def routes(self) -> list[Route]:
        """Return the routes that this object handles."""
        parameters = (
            Parameter("query", "workflow", "Only servers that are warmed by this workflow."),
            Parameter("query", "group", "Only servers of this group."),
        )
        routed = (
            ApiResponse(200, "The loaded server with the shortest queue", RoutedServerSchema),
            ApiResponse(404, "The group does not exist, or no server has the workflow.", ErrorSchema),
            ApiResponse(503, "No matching server is loaded.", ErrorSchema),
        )
        targets = ApiResponse(200, "Every server, in Prometheus' http_sd format", TargetsSchema)
        return [
            Route("GET", "/api/route", self.route, "Choose a warm server", routed, parameters),
            Route("GET", "/api/http_sd", self.http_sd, "List all servers for Prometheus", (targets,)),
        ]

    async def route(self, request: web.Request) -> web.Response:
        """Handle GET /api/route."""
        found = candidates(self._ports.snapshot, request.query.get("workflow"), request.query.get("group"))
        chosen = self._router.choose(found, asyncio.get_running_loop().time())
        if chosen is None:
            raise none_warm(len(found))
        return json_response(routed(chosen))

    async def http_sd(self, _request: web.Request) -> web.Response:
        """Handle GET /api/http_sd."""
        return json_response([_target(view) for view in self._ports.snapshot])


def candidates(snapshot: Snapshot, workflow: str | None, group: str | None) -> list[ServerView]:
    """Return the servers of the group with the workflow; raise ApiError 404 if there are none."""
    grouped = [view for view in snapshot if group is None or view.group == group]
    if group is not None and not grouped:
        raise unknown_group(snapshot, group)
    found = [view for view in grouped if workflow is None or workflow in view.workflows]
    if workflow is not None and not found:
        where = "" if group is None else f" in group {quoted(group)}"
        message = f"no server{where} has workflow {quoted(workflow)}"
        raise ApiError(HTTPStatus.NOT_FOUND, "unknown_workflow", message)
    return found


def none_warm(count: int) -> ApiError:
    """Return the error 503 for a request that none of `count` matching servers is loaded for."""
    message = f"0 of {count} matching servers are loaded; try again later"
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "none_warm", message, {"Retry-After": str(RETRY_AFTER_S)})


def routed(view: ServerView) -> Json:
    """Return the server that a request is routed to."""
    return {
        "server": view.name,
        "url": view.url,
        "group": view.group,
        "queue_remaining": view.queue_remaining,
        "level": serialize.level_fields(view)["level"],
    }


def _target(view: ServerView) -> Json:
    """Return a server as a Prometheus target. Its labels change only with the settings.

    The state is a `__meta_` label: relabelling rules may read it, but no series carries it otherwise.
    """
    url = urlsplit(view.url)
    labels = {"server": view.name, "group": view.group, "__scheme__": url.scheme}
    if path := url.path.rstrip("/"):
        labels["__metrics_path__"] = f"{path}/metrics"
    return {"targets": [host_and_port(view.url)], "labels": labels | {"__meta_comfywarm_state": view.state.value}}
