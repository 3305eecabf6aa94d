"""The section `restart`: how servers are restarted, and what asks for it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from statemachine.core.messages import message
from statemachine.settings.problems import KeyPath, NotAllowedError
from statemachine.settings.times import CronExpression, DurationError, ZoneName, parse_duration
from statemachine.settings.values import Headers, Seconds, Section, Whole

MAX_ARGUMENTS = 200
TRIGGERS = ("when_stuck", "max_ram_percent", "max_age", "schedule")


def _check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        absolute = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        has_login = "@" in parts.netloc
    except ValueError:
        absolute = has_login = False
    if has_login:
        raise NotAllowedError(message("settings.hook_url_login"))
    on_server = text.startswith("/") and not text.startswith("//")
    if not (absolute or on_server) or not text.isprintable() or not text.isascii() or set(text) & set(" #"):
        raise NotAllowedError(message("settings.hook_url"))
    return text


def _check_command(command: tuple[str, ...]) -> tuple[str, ...]:
    if not command or not command[0] or any("\0" in argument for argument in command):
        raise NotAllowedError(message("settings.hook_command"))
    return command


def _check_duration(text: str) -> str:
    try:
        parse_duration(text)
    except DurationError as error:
        raise NotAllowedError(error.message) from error
    return text


Argument = Annotated[str, Field(max_length=4000)]
Command = Annotated[tuple[Argument, ...], Field(max_length=MAX_ARGUMENTS), AfterValidator(_check_command)]
HookUrl = Annotated[str, Field(max_length=4000), AfterValidator(_check_url)]
Duration = Annotated[str, AfterValidator(_check_duration)]


class HttpHook(Section):
    """An HTTP request that restarts a server. Any 2xx is success, and so is a connection that the restart ends."""

    url: HookUrl
    """http or https URL, or a path of the server itself such as /manager/reboot. {name} and {group} stand for the
    server's. Secrets belong into `headers`."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    """Method of the request."""
    headers: Headers = Field(default_factory=dict)
    """HTTP headers. A path of the server also gets the server's own headers."""
    body: SecretStr | None = None
    """Body of the request; a Content-Type belongs into `headers`."""


class RestartSettings(Section):
    """How a server is restarted. Off by default: without `command` or `http` no server is ever restarted."""

    command: Command | None = None
    """Program and arguments that restart the server, without a shell. A program with a / is relative to the settings
    file. COMFYWARM_SERVER, COMFYWARM_SERVER_URL, COMFYWARM_GROUP and COMFYWARM_RESTART_ID are in its environment."""
    http: HttpHook | None = None
    """HTTP request that restarts the server, instead of `command`."""
    hook_timeout_s: Annotated[Seconds, Field(ge=0.05, le=3600)] = 120
    """Time limit for the command or the request, in seconds. A command that takes longer is killed."""
    drain_timeout_s: Annotated[Seconds, Field(ge=0, le=604_800)] = 3600
    """How long the server may take to finish its prompts before the restart, in seconds."""
    when_not_drained: Literal["give_up", "go_on"] = "give_up"
    """After `drain_timeout_s`: put the server back without a restart, or restart it although prompts are lost."""
    return_timeout_s: Annotated[Seconds, Field(ge=0.05, le=86400)] = 600
    """How long the server may take to answer as another process after the hook, in seconds."""
    when_stuck: bool = False
    """Restart a server that accepts prompts and runs none, because its worker has died."""
    max_ram_percent: Annotated[Seconds, Field(ge=1, le=100)] | None = None
    """Restart the server when so much of its host's memory is in use, in percent."""
    max_age: Duration | None = None
    """Restart the server so long after its last restart, such as 12h or 1d."""
    schedule: CronExpression | None = None
    """Restart the server at these times: five fields, minute, hour, day of the month, month and day of the week."""
    time_zone: ZoneName = "UTC"
    """Time zone of `schedule`: an IANA name, UTC, or an offset such as +08:00."""
    min_pause: Duration = "1h"
    """Shortest time between two restarts of a server that these triggers ask for."""
    max_per_day: Annotated[Whole, Field(ge=1, le=100)] = 3
    """Restarts of a server within 24 hours, after which triggers ask for no other: a stuck server is `failed` then."""

    @model_validator(mode="after")
    def _check_one_hook(self) -> Self:
        if self.command is not None and self.http is not None:
            raise NotAllowedError(message("settings.one_hook"))
        return self

    @property
    def hook(self) -> "tuple[str, ...] | HttpHook | None":
        """What restarts the server: a command, a request, or nothing."""
        return self.command or self.http

    def below(self, folder: Path) -> Self:
        """Return a copy whose program, if it is a relative path, is below the folder. A bare name is found in PATH."""
        if self.command is None or "/" not in self.command[0]:
            return self
        program = str(folder / self.command[0])
        return self.model_copy(update={"command": (program, *self.command[1:])})

    @property
    def triggers(self) -> tuple[str, ...]:
        """The keys of the triggers that are set."""
        return tuple(key for key in TRIGGERS if getattr(self, key))

    @property
    def min_pause_s(self) -> float:
        """`min_pause` in seconds."""
        return parse_duration(self.min_pause)

    @property
    def max_age_s(self) -> float | None:
        """`max_age` in seconds."""
        return None if self.max_age is None else parse_duration(self.max_age)


def merge_restart(common: RestartSettings, own: RestartSettings | None) -> RestartSettings:
    """Return the entry's own section; the common one provides the keys that it does not set. A hook replaces both."""
    if own is None:
        return common
    update = {name: getattr(own, name) for name in own.model_fields_set}
    if own.hook is not None:
        update |= {"command": own.command, "http": own.http}
    return common.model_copy(update=update)


def hookless(
    common: RestartSettings, own: Sequence[tuple[KeyPath, RestartSettings | None]]
) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of each section whose triggers have no hook to run. `own` has those of servers and sources."""
    merged = [merge_restart(common, one) for _, one in own]
    if common.triggers and not any(one.hook for one in merged):
        yield ("restart", common.triggers[0])
    for (path, one), whole in zip(own, merged, strict=True):
        if one is not None and one.triggers and not whole.hook:
            yield (*path, one.triggers[0])
