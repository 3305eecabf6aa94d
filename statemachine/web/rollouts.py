"""GET /api/rollout: the rolling restart. POST starts one for a group, and pauses, resumes or cancels it."""

import asyncio
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web
from loguru import logger
from pydantic import AwareDatetime

from statemachine.core.rollout import (
    MOST_SERVERS,
    Facts,
    MemberStage,
    Rollout,
    RolloutAction,
    RolloutMember,
    RunReason,
    RunState,
)
from statemachine.core.rollout_room import obstacles
from statemachine.core.vocabulary import State
from statemachine.i18n.render import render
from statemachine.publish.serialize import Json, rfc3339
from statemachine.rollouts.service import RolloutRefusedError, Rollouts
from statemachine.rollouts.store import RolloutsUnavailableError
from statemachine.web.actions import NOT_ALLOWED
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response, quoted, unknown_group
from statemachine.web.rollout_body import LIMITS_BODY, SEEN_BODY, limits_of, run_seen
from statemachine.web.route import ApiResponse, Parameter, Route
from statemachine.web.schemas import ApiModel, ErrorSchema
from statemachine.web.tokens import Tokens

_SUMMARIES = {
    RolloutAction.PAUSE: "Pause the rolling restart",
    RolloutAction.RESUME: "Resume the rolling restart, also a cancelled or aborted one that has left servers",
    RolloutAction.CANCEL: "Cancel the rolling restart",
}
SHOWN_FIRST = (
    MemberStage.RESTARTING,
    MemberStage.FAILED,
    MemberStage.WAITING,
    MemberStage.SKIPPED,
    MemberStage.DONE,
)
"""The order of servers if not all are asked for."""

MAX_AGE_S = 1.0
"""How long an answer stays: building it takes time with the size of the fleet, and many pages ask."""

_AWAY = ApiResponse(503, "Rolling restarts cannot be read or written at the moment.", ErrorSchema)


class MemberSchema(ApiModel):
    """A server of the run."""

    server: str
    stage: MemberStage
    since: AwareDatetime | None
    """When it reached the stage; null while it waits."""
    reason: str | None
    """Why it waits or was skipped, or why its restart failed: a `RunReason` or a reason code of servers."""
    state: State | None
    """The server's state now; null if it is no longer in the fleet."""


class RolloutSchema(ApiModel):
    """A rolling restart."""

    id: str
    group: str
    state: RunState
    reason: RunReason | None
    """Why it was aborted."""
    by: str | None
    """Name of the client that asked for it, if it has one."""
    changed_by: str | None
    """Name of the client that paused, resumed or cancelled it last."""
    changed_at: AwareDatetime | None
    """When that was."""
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    """Null while restarts of it are under way or to come, also after it was resumed."""
    max_unavailable: int
    abort_after: int
    failures_in_a_row: int
    counts: dict[MemberStage, int]
    """Servers in each stage."""
    left: int
    """Servers that a cancelled or aborted run has not restarted; it goes on with them if it is resumed."""
    servers: list[MemberSchema]


class LatestRolloutSchema(ApiModel):
    """The rolling restart that is going on, or the last one."""

    rollout: RolloutSchema | None


class RolloutStatusSchema(LatestRolloutSchema):
    """The latest rolling restart, and where one can be started."""

    groups: list[str]
    """Groups whose servers all have a restart hook, sorted."""


class _Latest(NamedTuple):
    """An answer: when it was built in loop time, at which change of the run, and its parts."""

    at: float
    changes: int
    rollout: Json | None
    groups: list[str]


class RolloutsHandler:
    """Handle the rolling restart, which clients that `tokens` allows may start and change."""

    def __init__(self, ports: WebPorts, tokens: Tokens) -> None:
        self._ports = ports
        self._tokens = tokens
        self._cached: _Latest | None = None

    def routes(self) -> list[Route]:
        """Return the routes that this object handles."""
        latest = ApiResponse(200, "The run that is going on, or the last one", RolloutStatusSchema)
        return [
            Route(
                "GET", "/api/rollout", self.latest, "Get the rolling restart", (latest, _BAD_LIMIT, _AWAY), (_LIMIT,)
            ),
            _start_route(self),
            *(_action_route(self, action, summary) for action, summary in _SUMMARIES.items()),
        ]

    async def latest(self, request: web.Request) -> web.Response:
        """Handle GET /api/rollout."""
        limit = _limit_of(request)
        try:
            found = await self._latest()
        except RolloutsUnavailableError as error:
            raise _unavailable(error) from error
        rollout = found.rollout
        if rollout is not None and limit is not None:
            rollout = {**rollout, "servers": _first(rollout["servers"], limit)}
        return json_response({"rollout": rollout, "groups": found.groups})

    async def _latest(self) -> _Latest:
        """Return the cached answer, or build it if it is too old or this daemon has changed the run."""
        now, changes, cached = asyncio.get_running_loop().time(), self._rollouts.changes, self._cached
        if cached is not None and cached.changes == changes and now - cached.at < MAX_AGE_S:
            return cached
        run, facts = await self._rollouts.latest(), self._rollouts.facts()
        rollout = None if run is None else rollout_json(run, facts)
        self._cached = _Latest(now, changes, rollout, _restartable_groups(facts))
        return self._cached

    async def start(self, request: web.Request) -> web.Response:
        """Handle POST /api/groups/{group}/restart."""
        by, limits = self._tokens.authorize(request), limits_of(await request.read())
        group = request.match_info["group"]
        if not any(view.group == group for view in self._ports.snapshot):
            raise unknown_group(self._ports.snapshot, group)
        try:
            run = await self._rollouts.start(group, limits, by)
        except RolloutRefusedError as error:
            raise _conflict(error) from error
        except RolloutsUnavailableError as error:
            raise _unavailable(error) from error
        return self._accepted(run, "start", by)

    async def act(self, action: RolloutAction, request: web.Request) -> web.Response:
        """Handle POST /api/rollout/{action}."""
        by = self._tokens.authorize(request)
        try:
            run = await self._rollouts.act(action, by, run_seen(await request.read()))
        except RolloutRefusedError as error:
            raise _conflict(error) from error
        except RolloutsUnavailableError as error:
            raise _unavailable(error) from error
        return self._accepted(run, action.value, by)

    @property
    def _rollouts(self) -> Rollouts:
        return self._ports.rollouts

    def _accepted(self, run: Rollout, what: str, by: str | None) -> web.Response:
        client = f"client {by}" if by is not None else "a client"
        logger.info("{} requested {} of the rolling restart of group {}", client, what, run.group)
        return json_response({"rollout": rollout_json(run, self._rollouts.facts())}, HTTPStatus.ACCEPTED)


def rollout_json(run: Rollout, facts: Facts) -> Json:
    """Return a run as in the API."""
    waits_for = obstacles(run, facts) if run.is_going_on else {}
    return {
        "id": run.id,
        "group": run.group,
        "state": run.state.value,
        "reason": run.reason,
        "by": run.by,
        "changed_by": run.changed_by,
        "changed_at": rfc3339(run.changed_at),
        "started_at": rfc3339(run.started_at),
        "ended_at": rfc3339(run.ended_at),
        "max_unavailable": run.limits.max_unavailable,
        "abort_after": run.limits.abort_after,
        "failures_in_a_row": run.failures_in_a_row,
        "counts": {stage.value: count for stage, count in run.counts().items()},
        "left": len(run.left),
        "servers": [_member_json(one, facts, waits_for) for one in run.members],
    }


_LIMIT = Parameter(
    "query",
    "limit",
    "At most this many servers, those under way, failed or waiting first. All without it.",
    schema={"type": "integer", "minimum": 1, "maximum": MOST_SERVERS},
)
_BAD_LIMIT = ApiResponse(400, "The limit is not a number of servers.", ErrorSchema)


def _limit_of(request: web.Request) -> int | None:
    text = request.query.get("limit")
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= len(str(MOST_SERVERS)) and 1 <= int(text) <= MOST_SERVERS:
        return int(text)
    message = f"invalid limit {quoted(text)}; pass a number from 1 to {MOST_SERVERS}"
    raise ApiError(HTTPStatus.BAD_REQUEST, "invalid_limit", message)


def _first(servers: list[Json], limit: int) -> list[Json]:
    """Return the servers that matter most."""
    if len(servers) <= limit:
        return servers
    by_stage: dict[str, list[Json]] = {stage.value: [] for stage in SHOWN_FIRST}
    for one in servers:
        by_stage[one["stage"]].append(one)
    return [one for ones in by_stage.values() for one in ones][:limit]


def _restartable_groups(facts: Facts) -> list[str]:
    """Return the groups of which a rolling restart can be started."""
    servers = facts.values()
    return sorted({one.group for one in servers} - {one.group for one in servers if not one.has_hook})


def _member_json(member: RolloutMember, facts: Facts, waits_for: Mapping[str, RunReason | None]) -> Json:
    seen = facts.get(member.server)
    return {
        "server": member.server,
        "stage": member.stage.value,
        "since": rfc3339(member.at),
        "reason": waits_for.get(member.server, member.reason),
        "state": None if seen is None else seen.state.value,
    }


def _conflict(error: RolloutRefusedError) -> ApiError:
    status = HTTPStatus.NOT_FOUND if error.code == "no_rollout" else HTTPStatus.CONFLICT
    return ApiError(status, error.code, render(error.message, "en"))


def _unavailable(error: RolloutsUnavailableError) -> ApiError:
    what = f"rolling restarts cannot be read or written at the moment ({error}); try again in a few seconds"
    return ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "rollouts_unavailable", what)


def _start_route(handler: RolloutsHandler) -> Route:
    responses = (
        ApiResponse(202, "Accepted; the run goes on in the background", LatestRolloutSchema),
        ApiResponse(400, "The body does not say how to restart the servers.", ErrorSchema),
        *NOT_ALLOWED,
        ApiResponse(404, "No server is in this group.", ErrorSchema),
        ApiResponse(409, "Another run is going on, or servers of the group have no restart hook.", ErrorSchema),
        ApiResponse(413, "The body is larger than 1 MiB.", ErrorSchema),
        _AWAY,
    )
    group = Parameter("path", "group", "Name of the group.")
    summary = "Restart every server of the group, a few at a time"
    path = "/api/groups/{group}/restart"
    return Route(
        "POST", path, handler.start, summary, responses, (group,), protected=True, body=LIMITS_BODY, requires_body=False
    )


def _action_route(handler: RolloutsHandler, action: RolloutAction, summary: str) -> Route:
    responses = (
        ApiResponse(202, "Accepted", LatestRolloutSchema),
        ApiResponse(400, "The body is not understood.", ErrorSchema),
        *NOT_ALLOWED,
        ApiResponse(404, "There has been no rolling restart.", ErrorSchema),
        ApiResponse(409, "The run is over, or it is not the one in the body.", ErrorSchema),
        ApiResponse(413, "The body is larger than 1 MiB.", ErrorSchema),
        _AWAY,
    )
    path, handle = f"/api/rollout/{action.value}", partial(handler.act, action)
    return Route("POST", path, handle, summary, responses, protected=True, body=SEEN_BODY, requires_body=False)
