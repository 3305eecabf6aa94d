"""The declaration of a route, and what several share: parameters, responses, the language of a page."""

from dataclasses import dataclass
from typing import Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler
from pydantic import BaseModel

from statemachine.i18n.text import LANGUAGES, Language
from statemachine.publish.serialize import Json
from statemachine.web.schemas import ErrorSchema

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """One possible response. Without a model only its media type is described; without both it has no body."""

    status: int
    description: str
    model: type[BaseModel] | None = None
    media_type: str | None = JSON_TYPE


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the path, the query or a header. `schema` overrides the JSON type `kind`."""

    place: str
    name: str
    description: str
    kind: str = "string"
    schema: Json | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """A path with its handler and its description. `protected` routes need the token or a loopback client.

    `body` is the JSON Schema of the body that the route requires, or allows unless `requires_body`, if any.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    responses: tuple[ApiResponse, ...]
    parameters: tuple[Parameter, ...] = ()
    protected: bool = False
    body: Json | None = None
    requires_body: bool = True


class RouteSource(Protocol):
    """An object that handles one or more routes."""

    def routes(self) -> list[Route]:
        """Return the routes that this object handles."""
        ...


SERVER_NAME = Parameter("path", "name", "Name of the server, by default host:port.")
UNKNOWN_SERVER = ApiResponse(404, "No server has this name.", ErrorSchema)
JOURNAL_UNAVAILABLE = ApiResponse(503, "The journal cannot be read at the moment.", ErrorSchema)


LANGUAGE = Parameter("query", "lang", "en or zh; by default Accept-Language decides, then the settings.")


def requested_language(request: web.Request, default: Language) -> Language:
    """Return the language of `?lang=`, else the preferred one of Accept-Language, else the default."""
    asked = request.query.get("lang", "")
    accepted = _by_quality(request.headers.get(hdrs.ACCEPT_LANGUAGE, ""))
    for tag in (asked, *accepted):
        for language in LANGUAGES:
            if tag.lower().split("-")[0] == language:
                return language
    return default


def _by_quality(header: str) -> list[str]:
    """Return the tags of an Accept-Language header (RFC 9110, section 12.5.4), preferred first, without q=0."""
    ranked = [_tag_and_quality(part) for part in header.split(",")]
    ranked.sort(key=lambda pair: -pair[1])
    return [tag for tag, quality in ranked if quality > 0]


def _tag_and_quality(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    name, _, value = parameter.partition("=")
    try:
        quality = float(value) if name.strip() == "q" else 1.0
    except ValueError:
        quality = 0.0
    return tag.strip(), quality
