"""The sections of settings.json: each setting's name with its unit, default, range and description.

The JSON Schema is generated from this model, and a test compares docs/settings.md with it.
"""

from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema

from statemachine.core.levels import Level
from statemachine.settings.alerting import Alerts
from statemachine.settings.cluster import Cluster
from statemachine.settings.discovery import Sources
from statemachine.settings.expand import MAX_SERVERS, ServerUrl
from statemachine.settings.listen import GatewaySettings, Listen
from statemachine.settings.maintenance import MAX_WINDOWS, MaintenanceWindow
from statemachine.settings.restarts import RestartSettings, merge_restart
from statemachine.settings.servers import (
    CacheCheckSettings,
    ServerConfig,
    ServerOptions,
    UrlOrEntry,
    WorkflowEntry,
    Workflows,
    merge_cache_check,
)
from statemachine.settings.tls import Tls
from statemachine.settings.values import (
    BindHost,
    Folder,
    RotationSize,
    Seconds,
    Section,
    Whole,
)


class TrafficSettings(Section):
    """What load balancers and autoscalers ask: HAProxy's agent check on a TCP port, and how many servers are wanted."""

    agent_host: BindHost = "127.0.0.1"
    """Address to bind for agent checks. Clients that reach it can read the servers' states and nothing else."""
    agent_port: Annotated[Whole, Field(ge=0, le=65535)] | None = None
    """TCP port for agent checks; 0 selects a free port, null disables them."""
    target_wait_s: Annotated[Seconds, Field(ge=1, le=86400)] = 30
    """How long a prompt should wait on average, for the number of servers that each group wants."""


class Timing(Section):
    """Intervals and time limits, in seconds."""

    check_interval_s: Annotated[Seconds, Field(ge=0.05, le=86400)] = 60
    """Interval between cache checks of a loaded server."""
    node_check_interval_s: Annotated[Seconds, Field(ge=0.05, le=86400)] = 600
    """The same for a server whose companion node reports every change over a working /ws connection."""
    auto_recheck_s: Annotated[Seconds, Field(ge=0.05, le=3600)] = 5
    """Interval between looks at a server that is loading by itself."""
    http_timeout_s: Annotated[Seconds, Field(ge=0.05, le=600)] = 10
    """Timeout of an HTTP request, and of opening a connection."""
    busy_wait_s: Annotated[Seconds, Field(ge=0, le=86400)] = 600
    """How long a cold server's queue may stay busy before `when_busy_too_long` applies."""
    warm_timeout_s: Annotated[Seconds, Field(ge=0.05, le=86400)] = 1800
    """Time limit for a warm-up since its last progress; three times this in all."""
    retry_s: Annotated[Seconds, Field(ge=0.05, le=3600)] = 2
    """Interval between attempts to reach a server that does not answer."""
    failed_retry_s: Annotated[Seconds, Field(ge=0.05, le=86400)] = 900
    """Pause before comfywarm retries a server that failed for a diagnosed reason."""
    lost_grace_s: Annotated[Seconds, Field(ge=0, le=3600)] = 15
    """How long a prompt whose POST got no answer must be missing from queue and history before it counts as lost."""
    link_stable_s: Annotated[Seconds, Field(ge=0, le=3600)] = 30
    """How long a /ws connection must last before the reconnect backoff resets."""
    link_backoff_max_s: Annotated[Seconds, Field(ge=0.05, le=3600)] = 60
    """Longest pause between attempts to open the /ws connection."""


class ReachabilitySettings(Section):
    """How many consecutive results change whether a server counts as reachable."""

    fall: Annotated[Whole, Field(ge=1, le=100)] = 3
    """Consecutive failures that make a server unreachable."""
    rise: Annotated[Whole, Field(ge=1, le=100)] = 2
    """Consecutive answers that make it reachable again."""


class Limits(Section):
    """How many operations may run concurrently."""

    max_warming: Annotated[Whole, Field(ge=1, le=10000)] = 8
    """Concurrent warm-ups in the fleet."""
    max_warming_per_host: Annotated[Whole, Field(ge=1, le=1000)] = 2
    """Concurrent warm-ups on the servers of one host, which share its disks and memory."""
    max_checks: Annotated[Whole, Field(ge=1, le=10000)] = 64
    """Concurrent cache checks."""


class Logging(Section):
    """The program's log. Its file also has every entry of the event log."""

    level: Literal["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """Lowest level to write. Event log entries are written to the file at every level."""
    file: Folder | None = Path("logs/comfywarm.log")
    """Log file; a relative path starts at the settings file's folder. With null the log goes to the terminal only."""
    rotation: RotationSize = "20 MB"
    """Size (KB, MB or GB) at which a new file starts."""
    retention: Annotated[Whole, Field(ge=1, le=1000)] = 10
    """Number of old files to keep."""


class JournalSettings(Section):
    """How many transitions the journal keeps; it deletes older ones at either limit."""

    max_age_days: Annotated[Whole, Field(ge=1, le=3650)] = 30
    """Age at which the journal deletes transitions, in days."""
    max_transitions: Annotated[Whole, Field(ge=1000, le=100_000_000)] = 1_000_000
    """Number of transitions that the journal keeps."""


class Settings(Section):
    """A settings file. Only `servers` or `discovery` is required. ${NAME} in a string is an environment variable."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["servers"]}, {"required": ["discovery"]}]})

    json_schema_uri: str | None = Field(default=None, alias="$schema")
    """For editors: the location of the JSON Schema."""
    listen: Listen = Listen()
    data_dir: Folder = Path("data")
    """Directory of the journal; a relative path starts at the settings file's folder."""
    workflows_dir: Folder = Path("workflows")
    """Directory of the workflow files; a relative path starts at the settings file's folder."""
    language: Literal["en", "zh"] = "en"
    """Default language of messages: the page, the API, alerts and the command line."""
    workflows: Annotated[Workflows, Field(json_schema_extra={"default": ["cache_models"]})] = (
        WorkflowEntry(name="cache_models"),
    )
    """Workflows that warm a server: names, or objects with a name. NAME is NAME.json in `workflows_dir`, in ComfyUI's
    API format; without such a file, `cache_models` and `smoke` are those that come with comfywarm."""
    cache_check: CacheCheckSettings = CacheCheckSettings()
    servers: Annotated[tuple[UrlOrEntry, ...], Field(max_length=MAX_SERVERS)] = ()
    """The fleet: URLs, or objects with a URL. At most 20,000 servers after ranges are expanded."""
    discovery: Sources = ()
    """Sources of more servers, which come and go. A server that `servers` lists too is only that of `servers`."""
    tls: Tls = Tls()
    restart: RestartSettings = RestartSettings()
    timing: Timing = Timing()
    reachability: ReachabilitySettings = ReachabilitySettings()
    limits: Limits = Limits()
    when_busy_too_long: Literal["submit", "front"] = "submit"
    """After `timing.busy_wait_s`: submit at the end of the queue, or in front of the waiting prompts."""
    fast_frames: bool = False
    """Parse common /ws frames in comfywarm instead of in the websockets library, at about half the processor time."""
    logging: Logging = Logging()
    journal: JournalSettings = JournalSettings()
    alerts: Alerts = Alerts()
    maintenance: Annotated[tuple[MaintenanceWindow, ...], Field(max_length=MAX_WINDOWS)] = ()
    """Recurring windows in which no alert is sent."""
    traffic: TrafficSettings = TrafficSettings()
    gateway: GatewaySettings | None = None
    """One address with ComfyUI's API for the whole fleet, served by `comfywarm gateway`; null disables it."""
    cluster: Cluster | None = None
    """Lets several daemons share the fleet; with null this daemon manages all of it."""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a settings file, as in settings.schema.json."""
    schema = Settings.model_json_schema(by_alias=True)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "comfywarm settings"}


def resolve_servers(settings: Settings) -> tuple[ServerConfig, ...]:
    """Return every server of `servers`, in the order of the file, with ranges expanded."""
    return tuple(
        server_config(settings, entry, address, entry.name or address.host_and_port)
        for entry in settings.servers
        for address in entry.addresses
    )


def source_groups(settings: Settings) -> dict[str, list[tuple[str, ...]]]:
    """Return the groups that sources give all their servers, which may be none yet, with the servers' workflows."""
    groups = dict[str, list[tuple[str, ...]]]()
    for source in settings.discovery:
        if source.group_label is None:
            workflows = source.workflows or settings.workflows
            groups.setdefault(source.group, []).append(tuple(one.name for one in workflows))
    return groups


def server_config(settings: Settings, options: ServerOptions, address: ServerUrl, name: str) -> ServerConfig:
    """Return the configuration of one server, whose options take precedence over the top level."""
    workflows = options.workflows or settings.workflows
    return ServerConfig(
        name=name,
        url=address.url,
        group=options.group,
        host=address.host,
        workflows=tuple(workflow.name for workflow in workflows),
        warm=MappingProxyType({one.name: one.level for one in workflows if one.level > Level.KEY}),
        cache_check=merge_cache_check(settings.cache_check, options.cache_check),
        headers=MappingProxyType(options.headers),
        tls=options.tls or settings.tls,
        restart=merge_restart(settings.restart, options.restart),
    )
