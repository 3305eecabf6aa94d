"""The shape of every JSON answer, for /openapi.json. The tests hold real answers against these models."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from statemachine.core.attempt import Outcome
from statemachine.core.log import EntryKind
from statemachine.core.vocabulary import Reason, State, Witness
from statemachine.web.ports import Action


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
    confirmed_by: Witness | None
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
    proved_by: Witness | None
    prompt_id: str | None
    message: str


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


class Alive(_Answer):
    """The loop runs."""

    alive: bool


class FleetReady(_Answer):
    """Whether every server has a first verdict."""

    ready: bool
    message: str
