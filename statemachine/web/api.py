"""The routes that read, and the one that acts. What they answer is made in `publish.render`."""

from functools import partial
from http import HTTPStatus

from aiohttp import web
from loguru import logger
from pydantic import SecretStr

from statemachine.core.attempt import Attempt
from statemachine.core.log_entry import LogEntry
from statemachine.core.operator import Action
from statemachine.core.view import ServerView
from statemachine.journal.port import JournalUnavailableError
from statemachine.journal.store import JournalStore
from statemachine.publish import serialize
from statemachine.publish.serialize import Json
from statemachine.publish.snapshot import Snapshot
from statemachine.web.auth import authorise
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response

TRANSITIONS = 20
ATTEMPTS = 10
"""How much of a server's past a detailed answer holds."""

READ_BATCH = 50
"""How many servers' past is read at once: the journal's one thread must get round to writing in between."""

History = tuple[list[Attempt], list[LogEntry]]


def existing_server(snapshot: Snapshot, name: str) -> ServerView:
    """The view of a server; ApiError 404 where there is none of that name."""
    view = snapshot.get(name)
    if view is None:
        raise ApiError(HTTPStatus.NOT_FOUND, "unknown_server", f"there is no server named {name}")
    return view


class Api:
    """Handlers over the ports."""

    def __init__(self, ports: WebPorts, token: SecretStr | None) -> None:
        self._ports = ports
        self._token = token

    async def detailed_status(self, _request: web.Request) -> web.Response:
        """GET /api/detailed_status"""
        views = list(self._ports.snapshot)
        servers: list[Json] = []
        for start in range(0, len(views), READ_BATCH):
            servers += await self._details(views[start : start + READ_BATCH])
        return json_response(serialize.detailed_status(self._ports.snapshot, self._ports.now(), servers))

    async def server(self, request: web.Request) -> web.Response:
        """GET /api/servers/{name}"""
        (detail,) = await self._details([self._view(request)])
        return json_response(detail)

    async def ready(self, request: web.Request) -> web.Response:
        """GET /api/servers/{name}/ready"""
        view = self._view(request)
        body = {
            "name": view.name,
            "ready": view.cache_loaded,
            "state": view.state.value,
            "reason": view.reason.value,
            "message": view.message,
        }
        return json_response(body, HTTPStatus.OK if view.cache_loaded else HTTPStatus.SERVICE_UNAVAILABLE)

    async def act(self, action: Action, request: web.Request) -> web.Response:
        """POST /api/servers/{name}/{action}"""
        authorise(request, self._token)
        name = self._view(request).name
        if not await self._ports.operator.act(name, action):
            raise ApiError(HTTPStatus.NOT_FOUND, "unknown_server", f"there is no server named {name} any more")
        return json_response({"server": name, "action": action.value}, HTTPStatus.ACCEPTED)

    async def healthz(self, _request: web.Request) -> web.Response:
        """GET /healthz: that this is answered says that the loop runs."""
        return json_response({"alive": True})

    async def readyz(self, _request: web.Request) -> web.Response:
        """GET /readyz"""
        ready = self._ports.snapshot.has_first_verdicts
        message = "every server has a first verdict" if ready else "waiting for the first verdict of some server"
        body = {"ready": ready, "message": message}
        return json_response(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    def _view(self, request: web.Request) -> ServerView:
        return existing_server(self._ports.snapshot, request.match_info["name"])

    async def _details(self, views: list[ServerView]) -> list[Json]:
        histories = await self._histories([view.name for view in views])
        detail = self._ports.snapshot.detail
        return [
            serialize.detailed_server(view, detail(view.name), *history)
            for view, history in zip(views, histories, strict=True)
        ]

    async def _histories(self, names: list[str]) -> list[History]:
        """The servers' past; empty where the journal cannot be read, for then the present is needed most."""
        try:
            return await self._ports.journal.read(partial(_histories, names=names))
        except JournalUnavailableError as error:
            logger.warning("answering without the servers' past: {}", error)
            return [([], []) for _ in names]


def _histories(store: JournalStore, names: list[str]) -> list[History]:
    """What the journal keeps of each server, newest first."""
    return [(store.newest_attempts(name, ATTEMPTS), store.newest_entries(name, TRANSITIONS)) for name in names]
