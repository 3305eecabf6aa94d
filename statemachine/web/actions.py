"""POST /api/servers/{name}/{action} and /api/groups/{group}/{action}: the operator's actions."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

from aiohttp import web
from loguru import logger
from pydantic import Field

from statemachine.core.pause import NO_TERMS, PauseTerms
from statemachine.core.ports import Action
from statemachine.core.restart import RESTART_STATES
from statemachine.core.vocabulary import State
from statemachine.web.pause_body import PAUSE_BODY, pause_terms
from statemachine.web.ports import WebPorts
from statemachine.web.responses import existing_server, json_response, unknown_group, unknown_server
from statemachine.web.route import SERVER_NAME, UNKNOWN_SERVER, ApiResponse, Parameter, Route
from statemachine.web.schemas import ApiModel, ErrorSchema
from statemachine.web.tokens import Tokens

_SERVER_SUMMARIES = {
    Action.CHECK: "Check the server's cache now",
    Action.WARM: "Warm up the server now",
    Action.PAUSE: "Pause the server",
    Action.RESUME: "Resume the server",
    Action.RESTART: "Restart the server: drain it, run its hook, warm it",
}
_GROUP_SUMMARIES = {
    Action.CHECK: "Check the cache of every server of the group now",
    Action.WARM: "Warm up every server of the group now",
    Action.PAUSE: "Pause every server of the group",
    Action.RESUME: "Resume every server of the group",
}
NOT_ALLOWED = (
    ApiResponse(401, "The token is missing or wrong.", ErrorSchema),
    ApiResponse(403, "The client or its token may not act, or a page of another site sent the request.", ErrorSchema),
)

_NOT_RESTARTABLE = ApiResponse(409, "The server has no restart hook, or is paused.", ErrorSchema)

_NOT_STORED = ApiResponse(
    503,
    "The journal cannot store the restart or its cancellation, or the node that owns the server cannot be reached.",
    ErrorSchema,
)

_BAD_PAUSE = (
    ApiResponse(400, "The body does not say how long to pause, or why.", ErrorSchema),
    ApiResponse(413, "The body is larger than 1 MiB.", ErrorSchema),
)


_REFUSALS = {Action.RESTART: (_NOT_RESTARTABLE,), Action.PAUSE: _BAD_PAUSE}
_ABOUT_RESTARTS = frozenset({Action.RESTART, Action.PAUSE, Action.RESUME})
"""Actions that request or cancel a restart."""


class AcceptedSchema(ApiModel):
    """An action that has been accepted for a server."""

    server: str
    action: Action
    state: State | None = None
    """`draining` or `restarting` if the request found the server so: it is checked and warmed once it is back, and not
    restarted a second time. After `resume` the state of a server that was not paused, so that nothing changes; after
    `restart` `unreachable`: no prompt is waited for. Else the field is missing."""


class GroupAcceptedSchema(ApiModel):
    """An action that has been accepted for the servers of a group."""

    group: str
    action: Action
    servers: int = Field(ge=1)
    """Number of servers that the action applies to."""


class ActionsHandler:
    """Handle actions on servers and groups, by clients that `tokens` allows."""

    def __init__(self, ports: WebPorts, tokens: Tokens) -> None:
        self._ports = ports
        self._tokens = tokens

    def routes(self) -> list[Route]:
        """Return the routes that this object handles, one for each action."""
        group_name = Parameter("path", "group", "Name of the group.")
        unknown_group = ApiResponse(404, "No server is in this group.", ErrorSchema)
        servers, groups = "/api/servers/{name}", "/api/groups/{group}"
        return [
            *(
                _route(servers, action, self.act_on_server, summary, AcceptedSchema, UNKNOWN_SERVER, SERVER_NAME)
                for action, summary in _SERVER_SUMMARIES.items()
            ),
            *(
                _route(groups, action, self.act_on_group, summary, GroupAcceptedSchema, unknown_group, group_name)
                for action, summary in _GROUP_SUMMARIES.items()
            ),
        ]

    async def act_on_server(self, action: Action, request: web.Request) -> web.Response:
        """Handle POST /api/servers/{name}/{action}."""
        by, terms = self._tokens.authorize(request), await self._terms(action, request)
        view = existing_server(self._ports.snapshot, request.match_info["name"])
        name = view.name
        if not await self._ports.operator.act(name, action, by, terms):
            raise unknown_server(name)
        _log(action, name, by)
        found = {"state": view.state.value} if _is_telling(action, view.state) else {}
        return json_response({"server": name, "action": action.value, **found}, HTTPStatus.ACCEPTED)

    async def act_on_group(self, action: Action, request: web.Request) -> web.Response:
        """Handle POST /api/groups/{group}/{action}."""
        by, terms = self._tokens.authorize(request), await self._terms(action, request)
        group = request.match_info["group"]
        names = [view.name for view in self._ports.snapshot if view.group == group]
        accepted = sum(await asyncio.gather(*(self._ports.operator.act(name, action, by, terms) for name in names)))
        if accepted == 0:
            raise unknown_group(self._ports.snapshot, group)
        _log(action, f"group {group}", by)
        body = {"group": group, "action": action.value, "servers": accepted}
        return json_response(body, HTTPStatus.ACCEPTED)

    async def _terms(self, action: Action, request: web.Request) -> PauseTerms:
        """Return the terms of a pause. Other actions need no body."""
        return pause_terms(await request.read(), self._ports.now()) if action is Action.PAUSE else NO_TERMS


def _is_telling(action: Action, found: State) -> bool:
    """Return whether something else follows than usual, because the action has found the server in this state."""
    if action is Action.RESUME:
        return found is not State.PAUSED
    return found in RESTART_STATES.values() or (action is Action.RESTART and found is State.UNREACHABLE)


def _log(action: Action, target: str, by: str | None) -> None:
    """Name the client in the log, also where the action changes no state."""
    logger.info("{} requested {} of {}", f"client {by}" if by is not None else "a client", action.value, target)


def _route(
    path: str,
    action: Action,
    act: Callable[[Action, web.Request], Awaitable[web.StreamResponse]],
    summary: str,
    model: type[ApiModel],
    unknown: ApiResponse,
    parameter: Parameter,
) -> Route:
    accepted = ApiResponse(202, "Accepted; the action runs in the background", model)
    body = PAUSE_BODY if action is Action.PAUSE else None
    refused = (*_REFUSALS.get(action, ()), *((_NOT_STORED,) if action in _ABOUT_RESTARTS else ()))
    responses = (accepted, *NOT_ALLOWED, unknown, *refused)
    handler = partial(act, action)
    return Route(
        "POST",
        f"{path}/{action.value}",
        handler,
        summary,
        responses,
        (parameter,),
        protected=True,
        body=body,
        requires_body=False,
    )
