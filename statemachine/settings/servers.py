"""The entries of `servers` and `workflows`, and the configuration of each server that they expand to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator

from statemachine.core.levels import LEVELS, NO_LEVELS, Level
from statemachine.core.messages import message
from statemachine.settings.expand import ServerUrl, expand_url, parse_template
from statemachine.settings.problems import NotAllowedError
from statemachine.settings.restarts import RestartSettings
from statemachine.settings.tls import Tls
from statemachine.settings.values import Headers, Name, Route, Section, WorkflowName, check_distinct

MAX_WORKFLOWS = 100


class WorkflowEntry(Section):
    """One workflow that warms a server."""

    name: WorkflowName
    """The file's name without `.json`."""
    warm: Literal["key", "ram", "vram"] = "key"
    """Where the models of its keys are wanted: key (anywhere, while the key is cached), ram or vram. Levels above key
    need comfywarm's companion node."""

    @property
    def level(self) -> Level:
        """The level that is wanted."""
        return LEVELS[self.warm]


def _workflow_of(value: object) -> object:
    """Return the entry's data; a plain string is an entry with only a name."""
    if not isinstance(value, str | dict | WorkflowEntry):
        raise NotAllowedError(message("settings.workflow"))
    return {"name": value} if isinstance(value, str) else value


def _check_names(entries: tuple[WorkflowEntry, ...]) -> tuple[WorkflowEntry, ...]:
    check_distinct(tuple(entry.name for entry in entries))
    return entries


NameOrEntry = Annotated[WorkflowEntry, BeforeValidator(_workflow_of, json_schema_input_type=str | WorkflowEntry)]
Workflows = Annotated[
    tuple[NameOrEntry, ...],
    Field(max_length=MAX_WORKFLOWS, json_schema_extra={"minItems": 1}),
    AfterValidator(_check_names),
]


class CacheCheckSettings(Section):
    """How comfywarm asks a server what its cache holds."""

    kind: Literal["auto", "node", "text", "inspire", "history"] = "auto"
    """node: comfywarm's companion node, which also reports every change. text: a plug-in's route that answers in
    words. inspire: Inspire-Pack's list. history: the last warm-up in the history of a server without plug-ins.
    auto: the first of these that the server offers."""
    path: Route = "/cache/check"
    """Route for the kinds node and text, including when auto tries them."""


class ServerOptions(Section):
    """What the servers of an entry, or of a source, have in common."""

    group: Name = "default"
    """Group under which the servers are shown and counted."""
    workflows: Workflows | None = None
    """Workflows for these servers, instead of the top-level `workflows`."""
    cache_check: CacheCheckSettings | None = None
    """Cache check for these servers; the top-level `cache_check` provides the defaults."""
    headers: Headers = Field(default_factory=dict)
    """HTTP headers for every request to these servers. Keep secrets in the environment: "Bearer ${NAME}"."""
    tls: Tls | None = None
    """How the certificates of these servers are verified, instead of the top-level `tls`."""
    restart: RestartSettings | None = None
    """How these servers are restarted; the top-level `restart` provides the keys that are not set."""


class ServerEntry(ServerOptions):
    """One server, or several by ranges."""

    url: Annotated[str, Field(max_length=2000)]
    """http or https URL. [a-b] and [a-b:step] in the host and the port stand for many servers."""
    name: Name | None = None
    """The server's name, only if the URL stands for one server. Default: host:port."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parse_template(url)
        return url

    @cached_property
    def addresses(self) -> tuple[ServerUrl, ...]:
        """Every server of `url`, in order. Cached: expanding thousands of URLs takes a second."""
        return expand_url(self.url)


def _entry_of(value: object) -> object:
    """Return the entry's data; a plain string is an entry with only a URL."""
    if not isinstance(value, str | dict | ServerEntry):
        raise NotAllowedError(message("settings.server"))
    return {"url": value} if isinstance(value, str) else value


UrlOrEntry = Annotated[ServerEntry, BeforeValidator(_entry_of, json_schema_input_type=str | ServerEntry)]


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """The complete configuration of one server. `url` has no trailing slash; `host` has no port.

    `warm` has the workflows whose models are wanted in memory. How it is restarted does not count when two
    configurations are compared: a server keeps its connection, state and timers when that changes.
    """

    name: str
    url: str
    group: str
    host: str
    workflows: tuple[str, ...]
    cache_check: CacheCheckSettings
    headers: Mapping[str, SecretStr] = field(hash=False)
    tls: Tls
    warm: Mapping[str, Level] = field(default_factory=lambda: NO_LEVELS, hash=False)
    restart: RestartSettings = field(default_factory=RestartSettings, compare=False)


def merge_cache_check(common: CacheCheckSettings, own: CacheCheckSettings | None) -> CacheCheckSettings:
    """Return the entry's own check; the common one provides the keys that it does not set."""
    if own is None:
        return common
    return common.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
