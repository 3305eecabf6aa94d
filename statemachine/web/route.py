"""The declaration of a route, and the parameters and responses that several routes share."""

from dataclasses import dataclass
from typing import Protocol

from aiohttp.typedefs import Handler
from pydantic import BaseModel

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
