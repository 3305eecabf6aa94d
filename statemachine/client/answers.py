"""The daemon's answers, as JSON objects. A newer daemon may add keys; an older one lacks those marked NotRequired.

Another program at its address may answer anything, so what callers rely on is checked.
"""

from datetime import datetime
from typing import Annotated, Any, NotRequired, cast

import orjson
from pydantic import AfterValidator, TypeAdapter
from typing_extensions import TypedDict

Scalar = str | int | float | None


def _require_time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("the time has no zone")
    return text


Time = Annotated[str, AfterValidator(_require_time)]
"""RFC 3339, such as 2026-01-31T08:00:00.000Z."""


class PauseAnswer(TypedDict):
    """The pause of a server."""

    until: Time | None
    note: str
    by: str | None


class ServerAnswer(TypedDict):
    """One server. docs/states.md lists the states and reasons."""

    name: str
    url: NotRequired[str]
    group: str
    state: str
    since: Time | None
    reason: str
    message: str
    message_code: NotRequired[str | None]
    message_params: NotRequired[dict[str, Any]]
    cache_loaded: bool
    auto_executing: NotRequired[bool]
    missing: NotRequired[list[str]]
    level: NotRequired[str | None]
    levels: NotRequired[dict[str, str] | None]
    prompt_id: NotRequired[str | None]
    progress: float | None
    queue_remaining: Scalar
    last_check: NotRequired[Time | None]
    waiting_for: NotRequired[str | None]
    next_action_at: NotRequired[Time | None]
    next_action_at_most: NotRequired[bool]
    pause: NotRequired[PauseAnswer | None]


class StatusAnswer(TypedDict):
    """The fleet: every server, and how many are in each state."""

    generated_at: Time
    servers: list[ServerAnswer]
    states: dict[str, Scalar]
    total: Scalar


EventAnswer = TypedDict(
    "EventAnswer",
    {
        "id": int | None,
        "at": Time,
        "event": NotRequired[str],
        "server": str | None,
        "group": NotRequired[str | None],
        "from": str | None,
        "to": str | None,
        "reason": str,
        "proved_by": NotRequired[str | None],
        "prompt_id": NotRequired[str | None],
        "by": NotRequired[str | None],
        "message": str,
        "message_code": NotRequired[str | None],
        "message_params": NotRequired[dict[str, Any]],
    },
)
"""One entry of the event log. A notice, which is about the daemon or the fleet, has neither `from` nor `to`."""


class LogAnswer(TypedDict):
    """A page of the event log, newest first. `next` is the number before which older entries begin."""

    entries: list[EventAnswer]
    next: int | None


class CostAnswer(TypedDict):
    """What a request costs on a server, in seconds."""

    server: str
    prospect: str
    message: str
    expected_wait_s: float
    work_s: float
    load_s: float
    price_s: float
    missing: list[str]
    unknown: list[str]


class RouteAnswer(TypedDict):
    """The server for a request. What it costs is known where the request named a graph, models or a workflow."""

    server: str
    url: str
    group: str
    queue_remaining: int | None
    level: NotRequired[str | None]
    prospect: NotRequired[str]
    message: NotRequired[str]
    expected_wait_s: NotRequired[float]
    work_s: NotRequired[float]
    load_s: NotRequired[float]
    price_s: NotRequired[float]
    missing: NotRequired[list[str]]
    unknown: NotRequired[list[str]]
    others: NotRequired[list[CostAnswer]]


class WantedGroupAnswer(TypedDict):
    """How many servers a group needs. `wanted` and `change` are None while that is unknown; `reason` says why."""

    group: str
    servers: int
    loaded: int
    wanted: int | None
    change: int | None
    reason: str
    message: str
    message_code: NotRequired[str]
    waiting: int
    arrivals_per_s: float | None
    run_s: float | None
    expected_wait_s: float | None


class WantedAnswer(TypedDict):
    """How many servers each group needs, by name."""

    generated_at: Time
    target_wait_s: float
    groups: list[WantedGroupAnswer]


class RefusalAnswer(TypedDict):
    """Why targets of a source are not servers of the fleet."""

    message: str
    message_code: NotRequired[str | None]
    message_params: NotRequired[dict[str, Any]]


class SourceAnswer(TypedDict):
    """A source of servers. `error` says why it gives no usable answer, `held` that removals are held back."""

    name: str
    kind: str
    servers: int
    missing: int
    answered_at: Time | None
    failures: int
    error: str | None
    error_code: NotRequired[str | None]
    error_params: NotRequired[dict[str, Any]]
    held: NotRequired[str | None]
    held_code: NotRequired[str | None]
    held_params: NotRequired[dict[str, Any]]
    refusals: NotRequired[list[RefusalAnswer]]
    refused_total: NotRequired[int]


class SourcesAnswer(TypedDict):
    """The sources of servers, in the order of the settings."""

    sources: list[SourceAnswer]


class AcceptedAnswer(TypedDict):
    """An action that was accepted, for one server, or for this number of servers of a group.

    `state` is `draining` or `restarting` if the action has found the server in a restart, the state of a server that
    was to be resumed and was not paused, or `unreachable` if it is to be restarted so.
    """

    action: str
    server: NotRequired[str]
    state: NotRequired[str]
    group: NotRequired[str]
    servers: NotRequired[int]


class MemberAnswer(TypedDict):
    """A server of a rolling restart."""

    server: str
    stage: str
    reason: str | None


class RunAnswer(TypedDict):
    """A rolling restart. docs/repair.md lists its words."""

    group: str
    state: str
    reason: str | None
    by: str | None
    changed_by: NotRequired[str | None]
    changed_at: NotRequired[str | None]
    started_at: str
    ended_at: str | None
    max_unavailable: int
    abort_after: int
    counts: dict[str, int]
    left: NotRequired[int]
    servers: list[MemberAnswer]


class RolloutAnswer(TypedDict):
    """The rolling restart that is going on, or the last one."""

    rollout: RunAnswer | None
    groups: NotRequired[list[str]]
    """Groups that can be restarted."""


_ROUTE = TypeAdapter[Any](RouteAnswer)
_SHAPES: dict[tuple[str, str], TypeAdapter[Any]] = {
    ("GET", "/api/status"): TypeAdapter(StatusAnswer),
    ("GET", "/api/log"): TypeAdapter(LogAnswer),
    ("GET", "/api/wanted"): TypeAdapter(WantedAnswer),
    ("GET", "/api/discovery"): TypeAdapter(SourcesAnswer),
    ("GET", "/api/route"): _ROUTE,
    ("POST", "/api/route"): _ROUTE,
    ("GET", "/api/rollout"): TypeAdapter(RolloutAnswer),
}
_EVENT = TypeAdapter[Any](EventAnswer)


def require_answer(method: str, path: str, answer: Any) -> None:
    """Raise ValueError if an answer lacks what callers read, or has it with another type."""
    if shape := _SHAPES.get((method, path)):
        shape.validate_python(answer, strict=True)


def event_from(text: str) -> EventAnswer:
    """Return an event of the stream, without the server's view, which a repeated event lacks. Raises ValueError."""
    data = orjson.loads(text)
    _EVENT.validate_python(data, strict=True)
    return cast("EventAnswer", {name: value for name, value in data.items() if name != "view"})
