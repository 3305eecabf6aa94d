"""The types of values in settings. Numbers are strict: "60" and true are not numbers.

Errors do not quote the value: `source` does, because it knows which values are secret. Validators check that lists
are not empty, because pydantic counts only the valid items.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, Strict

from statemachine.core.messages import Message, message
from statemachine.settings.problems import NotAllowedError

MAX_NAME_LENGTH = 100
MAX_HEADERS = 100
MAX_HOST_NAMES = 100

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, section 5.6.2
_PRINTABLE_ASCII = re.compile(r"[ -~]*")
_TOKEN = re.compile(r"[!-~]+")
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_BIND_HOST = re.compile(r"[A-Za-z0-9.:_-]+")
_DESTRUCTIVE = re.compile(r"/(remove|clear)/?$", re.IGNORECASE)


def check_name(name: str) -> str:
    """Return the name. Raises NotAllowedError if it cannot be one."""
    usable = name.isprintable() and name == name.strip() and name not in {"", ".", ".."}
    if not usable or len(name) > MAX_NAME_LENGTH or set(name) & set("/\\?#%"):
        raise NotAllowedError(message("settings.name", max=MAX_NAME_LENGTH))
    return name


def _check_workflow(name: str) -> str:
    if name.endswith(".json"):
        raise NotAllowedError(message("settings.workflow_without_suffix"))
    if name.startswith("."):
        raise NotAllowedError(message("settings.no_leading_dot"))
    return check_name(name)


def check_distinct(names: tuple[str, ...]) -> None:
    """Raise NotAllowedError if there are no names, or equal ones."""
    if not names or len(set(names)) < len(names):
        raise NotAllowedError(message("settings.distinct_names"))


def _check_folder(path: object) -> object:
    if isinstance(path, str) and not (path and path.isprintable()):
        raise NotAllowedError(message("settings.path"))
    return path


def _check_route(path: str) -> str:
    """Refuse invalid routes, and GET routes with which Inspire-Pack empties its cache."""
    if not path.startswith("/") or path.startswith("//") or " " in path or "#" in path:
        raise NotAllowedError(message("settings.route"))
    if not _PRINTABLE_ASCII.fullmatch(path):
        raise NotAllowedError(message("settings.ascii_route"))
    if _DESTRUCTIVE.search(path.partition("?")[0]):
        raise NotAllowedError(message("settings.read_only_route"))
    return path


def _check_header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not _PRINTABLE_ASCII.fullmatch(text) or text != text.strip():
        raise NotAllowedError(message("settings.header_value"))
    return value


def _check_header_names(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if len({name.lower() for name in headers}) < len(headers):
        raise NotAllowedError(message("settings.distinct_headers"))
    return headers


def _check_token(code: str) -> Callable[[SecretStr], SecretStr]:
    def check(token: SecretStr) -> SecretStr:
        if not _TOKEN.fullmatch(token.get_secret_value()):
            raise NotAllowedError(Message(code))
        return token

    return check


def matches(pattern: re.Pattern[str], allowed: Message) -> Callable[[str], str]:
    """Return a validator that accepts only what the whole pattern matches."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise NotAllowedError(allowed)
        return text

    return check


Whole = Annotated[int, Strict()]
Seconds = Annotated[float, Strict()]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH), AfterValidator(check_name)]
WorkflowName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH), AfterValidator(_check_workflow)]
Folder = Annotated[Path, BeforeValidator(_check_folder)]
Route = Annotated[str, Field(max_length=1000), AfterValidator(_check_route)]
BindHost = Annotated[str, AfterValidator(matches(_BIND_HOST, message("settings.bind_host")))]
RotationSize = Annotated[
    str,
    AfterValidator(matches(re.compile(r"[1-9][0-9]{0,5} ?(KB|MB|GB)"), message("settings.size"))),
]
HostName = Annotated[str, Field(max_length=253), AfterValidator(matches(_HOST_NAME, message("settings.host_name")))]
HostNames = Annotated[tuple[HostName, ...], Field(max_length=MAX_HOST_NAMES)]
Token = Annotated[SecretStr, AfterValidator(_check_token("settings.token"))]
NamedToken = Annotated[SecretStr, Field(max_length=8000), AfterValidator(_check_token("settings.named_token"))]
HeaderName = Annotated[
    str,
    AfterValidator(matches(_HEADER_NAME, message("settings.header_name"))),
]
HeaderValue = Annotated[SecretStr, Field(max_length=8000), AfterValidator(_check_header_value)]
Headers = Annotated[dict[HeaderName, HeaderValue], Field(max_length=MAX_HEADERS), AfterValidator(_check_header_names)]


class Section(BaseModel):
    """A part of settings.json: frozen, without unknown keys, and without values in its errors."""

    # hide_input_in_errors: pydantic's own message would print secrets.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
