"""Detailed status, single servers, and the daemon's own liveness and readiness probes."""

from http import HTTPStatus

from aiohttp import web
from loguru import logger

from statemachine.core.server import ServerView
from statemachine.journal.file import ServerHistory
from statemachine.journal.port import JournalUnavailableError
from statemachine.publish import serialize
from statemachine.publish.serialize import Json
from statemachine.web.ports import WebPorts
from statemachine.web.responses import existing_server, json_response
from statemachine.web.route import JOURNAL_UNAVAILABLE, SERVER_NAME, UNKNOWN_SERVER, ApiResponse, Route
from statemachine.web.schemas import ApiModel, DetailedServerSchema, DetailedStatusSchema, ReadySchema

MAX_TRANSITIONS = 20
MAX_ATTEMPTS = 10
"""Number of past entries that a detailed response holds for each server."""

READ_BATCH = 50
"""Servers whose history is read at once. The journal has one thread, which must also write in between."""


class AliveSchema(ApiModel):
    """The event loop is running. Without a `journal` that can be written, servers are watched, but not warmed."""

    alive: bool
    journal: bool


class FleetReadySchema(ApiModel):
    """Whether every server has a first verdict."""

    ready: bool
    message: str


class ServersHandler:
    """Handle the routes of single servers and of the whole fleet in detail."""

    def __init__(self, ports: WebPorts) -> None:
        self._ports = ports
        self._was_ready = False

    def routes(self) -> list[Route]:
        """Return the routes that this object handles."""
        name = "/api/servers/{name}"
        detailed = ApiResponse(200, "The fleet in detail", DetailedStatusSchema)
        server = ApiResponse(200, "The server in detail", DetailedServerSchema)
        ready = (
            ApiResponse(200, "The server is loaded", ReadySchema),
            ApiResponse(503, "The server is not loaded; the body gives the reason", ReadySchema),
            UNKNOWN_SERVER,
        )
        alive = ApiResponse(200, "The event loop is running", AliveSchema)
        known = ApiResponse(200, "Every server has a first verdict", FleetReadySchema)
        waiting = ApiResponse(503, "Some server has no verdict yet", FleetReadySchema)
        return [
            Route(
                "GET",
                "/api/detailed_status",
                self.detailed_status,
                "Get all servers in detail",
                (detailed, JOURNAL_UNAVAILABLE),
            ),
            Route(
                "GET",
                name,
                self.server,
                "Get one server in detail",
                (server, UNKNOWN_SERVER, JOURNAL_UNAVAILABLE),
                (SERVER_NAME,),
            ),
            Route("GET", f"{name}/ready", self.ready, "Check whether a server is loaded", ready, (SERVER_NAME,)),
            Route("GET", "/healthz", self.healthz, "Check whether the daemon is alive", (alive,)),
            Route("GET", "/readyz", self.readyz, "Check whether every server has a verdict", (known, waiting)),
        ]

    async def detailed_status(self, _request: web.Request) -> web.Response:
        """Handle GET /api/detailed_status."""
        views = list(self._ports.snapshot)
        servers: list[Json] = []
        for start in range(0, len(views), READ_BATCH):
            servers += await self._details(views[start : start + READ_BATCH])
        return json_response(serialize.detailed_status(self._ports.snapshot, self._ports.now(), servers))

    async def server(self, request: web.Request) -> web.Response:
        """Handle GET /api/servers/{name}."""
        (detail,) = await self._details([self._view(request)])
        return json_response(detail)

    async def ready(self, request: web.Request) -> web.Response:
        """Handle GET /api/servers/{name}/ready."""
        view = self._view(request)
        body = {
            "name": view.name,
            "ready": view.cache_loaded,
            "state": view.state.value,
            "reason": view.reason.value,
            "level": serialize.level_fields(view)["level"],
            **serialize.message_fields(view.message),
        }
        return json_response(body, HTTPStatus.OK if view.cache_loaded else HTTPStatus.SERVICE_UNAVAILABLE)

    async def healthz(self, _request: web.Request) -> web.Response:
        """Handle GET /healthz. The response itself shows that the event loop is running."""
        return json_response({"alive": True, "journal": self._ports.journal.healthy})

    async def readyz(self, _request: web.Request) -> web.Response:
        """Handle GET /readyz. Servers that come later do not make a daemon unready."""
        ready = self._was_ready = self._was_ready or self._ports.snapshot.has_first_verdicts
        message = "every server has a first verdict" if ready else "waiting for the first verdict of some server"
        body = {"ready": ready, "message": message}
        return json_response(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    def _view(self, request: web.Request) -> ServerView:
        return existing_server(self._ports.snapshot, request.match_info["name"])

    async def _details(self, views: list[ServerView]) -> list[Json]:
        histories = await self._histories([view.name for view in views])
        detail, hooked = self._ports.snapshot.detail, self._ports.rollouts.hooked()
        return [
            {
                **serialize.detailed_server(view, detail(view.name), *history),
                "has_restart_hook": view.name in hooked,
            }
            for view, history in zip(views, histories, strict=True)
        ]

    async def _histories(self, names: list[str]) -> list[ServerHistory]:
        """Return the history of each server; empty if the journal cannot be read, to show at least the present."""
        try:
            return await self._ports.journal.file.histories(names, MAX_ATTEMPTS, MAX_TRANSITIONS)
        except JournalUnavailableError as error:
            logger.warning("responding without the servers' history: {}", error)
            return [ServerHistory([], []) for _ in names]
