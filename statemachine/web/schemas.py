"""The shape of every JSON answer, for /openapi.json. The tests hold real answers against these models."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, RootModel

from statemachine.core.attempt import Outcome
from statemachine.core.log_entry import EntryKind
from statemachine.core.operator import Action
from statemachine.core.vocabulary import Reason, Source, State


class _Answer(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True, populate_by_name=True)


class ErrorBody(_Answer):
    """What went wrong."""

    code: str
    """For programs; a released code keeps its meaning."""
    message: str
    """For people."""


class Error(_Answer):
    """Every answer that is an error."""

    error: ErrorBody


class Server(_Answer):
    """One server's line. Times are RFC 3339 UTC."""

    name: str
    url: str
    group: str
    state: State
    since: AwareDatetime
    """When it entered its state."""
    cache_loaded: bool
    """Whether everything asked for is cached, so that traffic may be sent there."""
    auto_executing: bool
    """Whether the server is loading by itself, so that nothing is submitted."""
    missing: list[str]
    """Keys that the newest check misses."""
    reason: Reason
    message: str
    prompt_id: str | None
    progress: float | None = Field(ge=0, le=1)
    """While warming, 0 to 1."""
    queue_remaining: int | None
    last_check: AwareDatetime | None
    next_action_at: AwareDatetime | None


class Status(_Answer):
    """The fleet."""

    generated_at: AwareDatetime
    total: int
    states: dict[State, int]
    """How many servers are in each state that has any."""
    servers: list[Server]


class Link(_Answer):
    """The /ws connection."""

    connected: bool
    since: AwareDatetime | None
    connects: int
    trouble: str | None


class Check(_Answer):
    """The newest cache check."""

    kind: str | None
    at: AwareDatetime | None
    ms: float | None
    raw: str | None
    """The answer as it came."""


class Attempt(_Answer):
    """One warm-up."""

    prompt_id: str
    workflow: str
    outcome: Outcome
    confirmed_by: Source | None
    created_at: AwareDatetime
    accepted_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    varied_tag: bool
    message: str


class LogEntry(_Answer):
    """One entry of the event log; a notice has no states."""

    id: int | None
    at: AwareDatetime
    event: EntryKind
    server: str | None
    group: str | None
    source: State | None = Field(alias="from")
    to: State | None
    reason: str
    proved_by: Source | None
    prompt_id: str | None
    message: str


class Log(_Answer):
    """A page of the event log."""

    entries: list[LogEntry]
    """Newest first."""
    next: int | None
    """To be passed as `before` for what is older; null at the end."""


class DetailedServer(Server):
    """One server with everything known of it; attempts and transitions newest first."""

    link: Link
    server: dict[str, Any]
    """What the server says of itself: version, devices."""
    check: Check
    attempts: list[Attempt]
    transitions: list[LogEntry]
    counters: dict[str, int]


class DetailedStatus(_Answer):
    """The fleet with everything known of it."""

    generated_at: AwareDatetime
    total: int
    states: dict[State, int]
    servers: list[DetailedServer]


class Ready(_Answer):
    """Whether traffic may be sent to a server, and why not."""

    name: str
    ready: bool
    state: State
    reason: Reason
    message: str


class Accepted(_Answer):
    """An operator's wish that has been passed on."""

    server: str
    action: Action


class GroupAccepted(_Answer):
    """An operator's wish that has been passed on to every server of a group."""

    group: str
    action: Action
    servers: int = Field(ge=1)
    """How many."""


class Alive(_Answer):
    """The loop runs."""

    alive: bool


class FleetReady(_Answer):
    """Whether every server has a first verdict."""

    ready: bool
    message: str


class TimeToWarm(_Answer):
    """From the verdict `cold` to `loaded`, over the warm-ups of a window. Seconds."""

    count: int
    p50: float | None
    p99: float | None


class WarmthFigures(_Answer):
    """How warm it was in one window, which ends now."""

    warm_share: float | None = Field(ge=0, le=1)
    """Time loaded by time watched; null where nothing was watched."""
    time_to_warm_s: TimeToWarm
    evictions: int
    attempts: int
    """Warm-ups that ended."""
    failed_attempts: dict[Reason, int]
    """Those that failed, by reason."""


class WarmthWindows(_Answer):
    """The same figures over three windows."""

    last_hour: WarmthFigures = Field(alias="1h")
    last_day: WarmthFigures = Field(alias="24h")
    last_week: WarmthFigures = Field(alias="7d")


class WarmthPoint(_Answer):
    """One hour by the clock."""

    at: AwareDatetime
    """Its start."""
    warm_share: float | None = Field(ge=0, le=1)


class WarmthTrend(_Answer):
    """The last 24 hours, oldest first; the last of them has not ended yet."""

    fleet: list[WarmthPoint]
    groups: dict[str, list[WarmthPoint]]


class ServerWarmthTrend(WarmthTrend):
    """With the hours of the one server that was asked for."""

    server: list[WarmthPoint]


class Stats(_Answer):
    """How warm the fleet was."""

    generated_at: AwareDatetime
    """The moment at which the windows end."""
    fleet: WarmthWindows
    groups: dict[str, WarmthWindows]
    servers: dict[str, WarmthWindows]
    trend: WarmthTrend | ServerWarmthTrend


class RoutedServer(_Answer):
    """A warm server for the next piece of work."""

    server: str
    url: str
    group: str
    queue_remaining: int | None
    """Prompts that run or wait there, as far as is known."""


class Target(_Answer):
    """One server for Prometheus."""

    targets: list[str]
    """One host:port."""
    labels: dict[str, str]


class Targets(RootModel[list[Target]]):
    """Every server, in the format of Prometheus' http_sd."""
