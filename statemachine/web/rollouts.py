"""GET /api/rollout: the rolling restart. POST starts one for a group, and pauses, resumes or cancels it."""

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus

from aiohttp import web
from loguru import logger
from pydantic import AwareDatetime

from statemachine.core.rollout import Facts, MemberStage, Rollout, RolloutAction, RolloutMember, RunReason, RunState
from statemachine.core.rollout_room import obstacles
from statemachine.core.vocabulary import State
from statemachine.i18n.render import render
from statemachine.publish.serialize import Json, rfc3339
from statemachine.rollouts.service import RolloutRefusedError, Rollouts
from statemachine.rollouts.store import RolloutsUnavailableError
from statemachine.web.actions import NOT_ALLOWED
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, json_response, unknown_group
from statemachine.web.rollout_body import LIMITS_BODY, limits_of
from statemachine.web.route import ApiResponse, Parameter, Route
from statemachine.web.schemas import ApiModel, ErrorSchema
from statemachine.web.tokens import Tokens

_SUMMARIES = {
    RolloutAction.PAUSE: "Pause the rolling restart",
    RolloutAction.RESUME: "Resume the rolling restart",
    RolloutAction.CANCEL: "Cancel the rolling restart",
}
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
    """The server's state now; null if it was removed from the settings."""


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
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    """Null while restarts of it are under way or to come."""
    max_unavailable: int
    abort_after: int
    failures_in_a_row: int
    counts: dict[MemberStage, int]
    """Servers in each stage."""
    servers: list[MemberSchema]


class LatestRolloutSchema(ApiModel):
    """The rolling restart that is going on, or the last one."""

    rollout: RolloutSchema | None


class RolloutStatusSchema(LatestRolloutSchema):
    """The latest rolling restart, and where one can be started."""

    groups: list[str]
    """Groups whose servers all have a restart hook, sorted."""


class RolloutsHandler:
    """Handle the rolling restart, which clients that `tokens` allows may start and change."""

    def __init__(self, ports: WebPorts, tokens: Tokens) -> None:
        self._ports = ports
        self._tokens = tokens

    def routes(self) -> list[Route]:
        """Return the routes that this object handles."""
        latest = ApiResponse(200, "The run that is going on, or the last one", RolloutStatusSchema)
        return [
            Route("GET", "/api/rollout", self.latest, "Get the rolling restart", (latest, _AWAY)),
            _start_route(self),
            *(_action_route(self, action, summary) for action, summary in _SUMMARIES.items()),
        ]

    async def latest(self, _request: web.Request) -> web.Response:
        """Handle GET /api/rollout."""
        try:
            run = await self._rollouts.latest()
        except RolloutsUnavailableError as error:
            raise _unavailable(error) from error
        facts = self._rollouts.facts()
        rollout = None if run is None else rollout_json(run, facts)
        return json_response({"rollout": rollout, "groups": _restartable_groups(facts)})

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
            run = await self._rollouts.act(action, by)
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
        "started_at": rfc3339(run.started_at),
        "ended_at": rfc3339(run.ended_at),
        "max_unavailable": run.limits.max_unavailable,
        "abort_after": run.limits.abort_after,
        "failures_in_a_row": run.failures_in_a_row,
        "counts": {stage.value: count for stage, count in run.counts().items()},
        "servers": [_member_json(one, facts, waits_for) for one in run.members],
    }


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
        *NOT_ALLOWED,
        ApiResponse(404, "There has been no rolling restart.", ErrorSchema),
        ApiResponse(409, "The run is over.", ErrorSchema),
        _AWAY,
    )
    return Route(
        "POST", f"/api/rollout/{action.value}", partial(handler.act, action), summary, responses, protected=True
    )
