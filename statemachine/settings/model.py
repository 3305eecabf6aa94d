"""Every setting: its name (with its unit), its default, its bounds and what it means.

The one description of settings.json: the schema is made from it, and docs/settings.md is tested against it.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator
from pydantic.json_schema import GenerateJsonSchema

from statemachine.settings.alerting import Alerts
from statemachine.settings.cluster import Cluster
from statemachine.settings.expand import MAX_SERVERS, ServerUrl, expand_url, parse_template
from statemachine.settings.tls import ListenTls, Tls
from statemachine.settings.values import (
    BindHost,
    Folder,
    Headers,
    HostNames,
    Name,
    RotationSize,
    Route,
    Seconds,
    Section,
    Token,
    Whole,
    WorkflowNames,
)


class TrafficSettings(Section):
    """HAProxy's agent-check: a TCP port at which a load balancer asks for one server at a time."""

    agent_host: BindHost = "127.0.0.1"
    """Address to bind for agent checks. Whoever reaches it may read the servers' states, and nothing else."""
    agent_port: Annotated[Whole, Field(ge=0, le=65535)] | None = None
    """TCP port for agent checks; 0 takes any free one. With null there are none."""


class Listen(Section):
    """Where the page and the API are served."""

    host: BindHost = "127.0.0.1"
    """Address to bind; 0.0.0.0 or :: serves every interface."""
    port: Annotated[Whole, Field(ge=0, le=65535)] = 8799
    """TCP port; 0 takes any free one."""
    token: Token | None = None
    """Bearer token that the routes which change something ask for. With null they answer only to loopback."""
    hosts: HostNames = ()
    """Names by which browsers reach the page, for example behind a reverse proxy. IP addresses, localhost and
    `host` are always right; a request under another name is refused."""
    tls: ListenTls | None = None
    """Certificate for https; with null the page is served over plain http."""


class CacheCheckSettings(Section):
    """How a server is asked what its cache holds."""

    kind: Literal["auto", "node", "text", "inspire", "history"] = "auto"
    """node: comfywarm's companion node, which also tells every change by itself. text: a plug-in's route that
    answers in words. inspire: Inspire-Pack's list. history: a stock server, judged by the last warm-up in its
    history. auto: the first of these that the server offers."""
    path: Route = "/cache/check"
    """The route of the kinds node and text, also when auto tries them."""


class ServerEntry(Section):
    """One server, or several by ranges."""

    url: Annotated[str, Field(max_length=2000)]
    """http or https URL. [a-b] and [a-b:step] in the host and the port stand for many servers."""
    group: Name = "default"
    """Heading under which the servers are shown and counted."""
    name: Name | None = None
    """The server's name, only where the URL stands for one server. Default: host:port."""
    workflows: WorkflowNames | None = None
    """Workflows for these servers in place of the top-level ones."""
    cache_check: CacheCheckSettings | None = None
    """Cache check for these servers; what it leaves out is taken from the top-level one."""
    headers: Headers = Field(default_factory=dict)
    """HTTP headers for every request to these servers. Keep secrets in the environment: "Bearer ${NAME}"."""
    tls: Tls | None = None
    """Whom to believe for these servers in place of the top-level `tls`."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parse_template(url)
        return url

    @cached_property
    def addresses(self) -> tuple[ServerUrl, ...]:
        """Every server that `url` stands for, in order. Kept: thousands of URLs take a second to be expanded anew."""
        return expand_url(self.url)


class Timing(Section):
    """When things are asked and how long they are waited for. Seconds."""

    check_interval_s: Annotated[Seconds, Field(ge=0.05, le=86400)] = 60
    """Between two cache checks of a server that is loaded."""
    node_check_interval_s: Annotated[Seconds, Field(ge=0.05, le=86400)] = 600
    """The same for a server whose companion node tells of every change while its /ws connection stands."""
    auto_recheck_s: Annotated[Seconds, Field(ge=0.05, le=3600)] = 5
    """Between two looks at a server that is loading by itself."""
    http_timeout_s: Annotated[Seconds, Field(ge=0.05, le=600)] = 10
    """For one HTTP request, and for opening a connection."""
    busy_wait_s: Annotated[Seconds, Field(ge=0, le=86400)] = 600
    """How long a cold server's busy queue may take to drain before `when_busy_too_long` applies."""
    warm_timeout_s: Annotated[Seconds, Field(ge=0.05, le=86400)] = 1800
    """How long one warm-up may take from its acceptance to its proved end."""
    retry_s: Annotated[Seconds, Field(ge=0.05, le=3600)] = 2
    """Between two attempts to reach a server that does not answer."""
    failed_retry_s: Annotated[Seconds, Field(ge=0.05, le=86400)] = 900
    """The long backoff: before another try on a server that failed for a diagnosed reason."""
    lost_grace_s: Annotated[Seconds, Field(ge=0, le=3600)] = 15
    """How long a prompt whose POST was never answered must be absent before it is declared lost."""
    link_stable_s: Annotated[Seconds, Field(ge=0, le=3600)] = 30
    """How long a /ws connection must last before the reconnect backoff starts over."""
    link_backoff_max_s: Annotated[Seconds, Field(ge=0.05, le=3600)] = 60
    """The longest wait between two attempts to open the /ws connection."""


class ReachabilitySettings(Section):
    """How many answers in a row change the verdict. Counts."""

    fall: Annotated[Whole, Field(ge=1, le=100)] = 3
    """Failures in a row that make a server unreachable."""
    rise: Annotated[Whole, Field(ge=1, le=100)] = 2
    """Answers in a row that make it reachable again."""


class Limits(Section):
    """How much may be under way at once. Counts."""

    max_warming: Annotated[Whole, Field(ge=1, le=10000)] = 8
    """Warm-ups in the whole fleet."""
    max_warming_per_host: Annotated[Whole, Field(ge=1, le=1000)] = 2
    """Warm-ups on the servers of one host, which share its disks and memory."""
    max_checks: Annotated[Whole, Field(ge=1, le=10000)] = 64
    """Cache checks in flight."""


class Logging(Section):
    """The log of the program itself. What happened to the servers is in the journal, and in the file once more."""

    level: Literal["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """The least severe level that is written. The file has every entry of the event log besides."""
    file: Folder | None = Path("logs/comfywarm.log")
    """Log file, from the settings file's folder. With null only the terminal."""
    rotation: RotationSize = "20 MB"
    """Size (KB, MB or GB) at which a new file is begun."""
    retention: Annotated[Whole, Field(ge=1, le=1000)] = 10
    """Number of old files that are kept."""


class JournalSettings(Section):
    """How much of the past is kept; the older goes when either limit is reached."""

    max_age_days: Annotated[Whole, Field(ge=1, le=3650)] = 30
    """Age in days."""
    max_transitions: Annotated[Whole, Field(ge=1000, le=100_000_000)] = 1_000_000
    """Number of transitions."""


def _entry_of(value: object) -> object:
    """A plain string is short for an entry with only a URL."""
    if not isinstance(value, str | dict | ServerEntry):
        raise ValueError('a URL, or an object with a "url"')  # noqa: TRY004  pydantic reports only ValueError
    return {"url": value} if isinstance(value, str) else value


def _check_not_empty(servers: tuple[ServerEntry, ...]) -> tuple[ServerEntry, ...]:
    if not servers:
        raise ValueError("at least one server")
    return servers


_Entry = Annotated[ServerEntry, BeforeValidator(_entry_of, json_schema_input_type=str | ServerEntry)]


class Settings(Section):
    """A whole settings file. Only `servers` must be given. ${NAME} in a string is an environment variable."""

    json_schema_uri: str | None = Field(default=None, alias="$schema")
    """For editors: where the JSON Schema of this file is."""
    listen: Listen = Listen()
    data_dir: Folder = Path("data")
    """Where the journal is kept, from the settings file's folder."""
    workflows_dir: Folder = Path("workflows")
    """Where the workflow files are, from the settings file's folder."""
    language: Literal["en", "zh"] = "en"
    """Language of the page and of the sentences for people."""
    workflows: WorkflowNames = ("cache_models",)
    """The workflows that warm a server: NAME is NAME.json in `workflows_dir`, in ComfyUI's API format."""
    cache_check: CacheCheckSettings = CacheCheckSettings()
    servers: Annotated[
        tuple[_Entry, ...],
        Field(max_length=MAX_SERVERS, json_schema_extra={"minItems": 1}),
        AfterValidator(_check_not_empty),
    ]
    """The fleet: URLs, or objects with a URL. At most 20,000 servers once the ranges are expanded."""
    tls: Tls = Tls()
    timing: Timing = Timing()
    reachability: ReachabilitySettings = ReachabilitySettings()
    limits: Limits = Limits()
    when_busy_too_long: Literal["submit", "front"] = "submit"
    """After `timing.busy_wait_s`: submit at the end of the queue, or in front of the waiting prompts."""
    fast_frames: bool = False
    """Parse common /ws frames without the websockets library, at about half the processor time for each."""
    logging: Logging = Logging()
    journal: JournalSettings = JournalSettings()
    alerts: Alerts = Alerts()
    traffic: TrafficSettings = TrafficSettings()
    cluster: Cluster | None = None
    """With null this daemon has the fleet to itself."""


def json_schema() -> dict[str, Any]:
    """The schema as JSON-ready data; settings.schema.json is this, and a test keeps it so."""
    schema = Settings.model_json_schema(by_alias=True)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": "comfywarm settings"}
