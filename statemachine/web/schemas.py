"""Models of the JSON responses that concern servers and the event log, for /openapi.json.

The models of other routes are declared beside their handlers. Tests validate real responses against all of them.
"""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from statemachine.core.log_entry import EntryKind
from statemachine.core.restart import RestartCause, RestartStage
from statemachine.core.server import Outcome
from statemachine.core.vocabulary import Reason, Source, State


def component_name(model: type[Any]) -> str:
    """Return the name of a model in /openapi.json: its class name without the suffix `Schema`."""
    return model.__name__.removesuffix("Schema")


LevelWord = Literal["key", "ram", "vram"]
"""Where models are: the key is cached and they are in neither RAM nor VRAM, they are in RAM, or in VRAM."""


class ApiModel(BaseModel):
    """Base of all response models."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, populate_by_name=True, model_title_generator=component_name
    )


class ErrorBodySchema(ApiModel):
    """An error."""

    code: str
    """Stable identifier for programs; a released code keeps its meaning."""
    message: str
    """Text for people."""


class ErrorSchema(ApiModel):
    """The body of every error response."""

    error: ErrorBodySchema


class PauseSchema(ApiModel):
    """The pause of a server: its end, the operator's note and the client that asked for it."""

    until: AwareDatetime | None
    """Null if the pause does not end by itself."""
    note: str
    by: str | None


class RestartSchema(ApiModel):
    """The latest restart of a server."""

    id: str
    cause: RestartCause
    by: str | None
    """Name of the client that asked for it, if it has one."""
    stage: RestartStage
    """The first three are open, the others ended."""
    requested_at: AwareDatetime
    hook_started_at: AwareDatetime | None
    returned_at: AwareDatetime | None
    """Time at which another process of the server answered."""
    ended_at: AwareDatetime | None
    reason: Reason | None
    """Reason of its end; null while it is open."""
    message: str | None
    message_code: str | None
    message_params: dict[str, Any]


class ServerSchema(ApiModel):
    """The state of one server. Times are RFC 3339 UTC."""

    name: str
    url: str
    group: str
    state: State
    since: AwareDatetime
    """Time at which the server entered its state."""
    cache_loaded: bool
    """Whether every requested key is cached, so that traffic may be sent to the server."""
    auto_executing: bool
    """Whether the server is loading its cache by itself; comfywarm then submits nothing."""
    missing: list[str]
    """Keys that were missing in the latest check."""
    level: LevelWord | None
    """The lowest level of its keys; null if it is not observed."""
    levels: dict[str, LevelWord] | None
    """Where the models of the keys are; keys whose level is not observed are left out. Null if no level is observed."""
    reason: Reason
    message: str
    """In the daemon's language."""
    message_code: str | None
    """Null for a message that an older version stored."""
    message_params: dict[str, Any]
    prompt_id: str | None
    progress: float | None = Field(ge=0, le=1)
    """Progress of the warm-up, 0 to 1; null unless the server is warming."""
    queue_remaining: int | None
    last_check: AwareDatetime | None
    waiting_for: str
    """What the server waits for, in the daemon's language."""
    waiting_for_code: str | None
    waiting_for_params: dict[str, Any]
    next_action_at: AwareDatetime | None
    """Time at which the daemon next acts on the server, or at which its wait ends; null if it is not known."""
    next_action_at_most: bool
    """Whether `next_action_at` is the latest time: what the server waits for may come sooner."""
    pause: PauseSchema | None
    """Null unless the server is paused."""
    restart: RestartSchema | None
    """The latest restart, open or ended; null if the server was never restarted by comfywarm."""


class StatusSchema(ApiModel):
    """The state of the fleet."""

    generated_at: AwareDatetime
    total: int
    states: dict[State, int]
    """Number of servers in each state; states without servers are omitted."""
    servers: list[ServerSchema]


class LinkSchema(ApiModel):
    """The /ws connection to a server."""

    connected: bool
    since: AwareDatetime | None
    connects: int
    trouble: str | None
    trouble_code: str | None
    trouble_params: dict[str, Any]


class CheckSchema(ApiModel):
    """The latest cache check."""

    kind: str | None
    at: AwareDatetime | None
    ms: float | None
    raw: str | None
    """The server's response, verbatim."""


class AttemptSchema(ApiModel):
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
    """In the daemon's language."""
    message_code: str | None
    """Null for a message that an older version stored."""
    message_params: dict[str, Any]


class LogEntrySchema(ApiModel):
    """One entry of the event log. A notice has no states."""

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
    by: str | None
    """Name of the token with which an operator requested the transition."""
    message: str
    """In the daemon's language."""
    message_code: str | None
    """Null for a message that an older version stored."""
    message_params: dict[str, Any]


class LogSchema(ApiModel):
    """A page of the event log."""

    entries: list[LogEntrySchema]
    """Newest first."""
    next: int | None
    """Value of `before` for the next, older page; null on the last page."""


class DetailedServerSchema(ServerSchema):
    """One server in detail. Attempts and transitions are sorted newest first."""

    link: LinkSchema
    server: dict[str, Any]
    """What the server reports about itself: version and devices."""
    check: CheckSchema
    attempts: list[AttemptSchema]
    transitions: list[LogEntrySchema]
    counters: dict[str, int]
    has_restart_hook: bool
    """Whether its settings have a restart hook, so that it can be restarted."""


class DetailedStatusSchema(ApiModel):
    """The fleet in detail."""

    generated_at: AwareDatetime
    total: int
    states: dict[State, int]
    servers: list[DetailedServerSchema]


class ReadySchema(ApiModel):
    """Whether traffic may be sent to a server, and why."""

    name: str
    ready: bool
    state: State
    reason: Reason
    level: LevelWord | None
    """The lowest level of the server's keys; null if it is not observed."""
    message: str
    """In the daemon's language."""
    message_code: str | None
    """Null for a message that an older version stored."""
    message_params: dict[str, Any]
