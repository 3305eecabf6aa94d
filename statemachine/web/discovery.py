"""GET /api/discovery: the sources of servers. POST /api/register: a server registers itself."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from statemachine.core.messages import joined
from statemachine.discovery.configs import only_usable
from statemachine.discovery.errors import NoRegistrationError
from statemachine.discovery.followed import Followed
from statemachine.discovery.service import Discovery
from statemachine.discovery.target import MAX_LABEL_CHARACTERS, MAX_LABELS, Listing, Target, parse_target
from statemachine.i18n.render import sentence
from statemachine.publish.serialize import Json, rfc3339
from statemachine.settings.problems import NotAllowedError
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, existing_server, json_response, quoted
from statemachine.web.route import SERVER_NAME, UNKNOWN_SERVER, ApiResponse, Route
from statemachine.web.schemas import ApiModel, ErrorSchema
from statemachine.web.tokens import Tokens

MAX_ADDRESS = 2_000

Text = Annotated[str, Field(max_length=MAX_LABEL_CHARACTERS)]


class SourceSchema(ApiModel):
    """A source of servers."""

    name: str
    kind: Literal["file", "http", "dns", "kubernetes", "register"]
    servers: int
    """Servers of the fleet that come from the source, also those that it no longer lists and that are kept."""
    missing: int
    """Those of them that the source no longer lists."""
    answered_at: AwareDatetime | None
    """The last usable answer since the daemon's start."""
    failures: int
    """Failures in a row; 0 while it answers."""
    error: str | None
    """Why it gives no usable answer."""
    refused: list[str]
    """Why targets of the last answer cannot be used, at most 100."""


class DiscoverySchema(ApiModel):
    """The sources of servers, in the order of the settings."""

    sources: list[SourceSchema]


class ServerOriginSchema(ApiModel):
    """Where a server comes from."""

    server: str
    source: str | None
    """Null for a server of the settings."""
    labels: dict[str, str]


class RegisteredSchema(ApiModel):
    """The server is registered."""

    heartbeat_s: float
    """Seconds after which it is to register again."""


class _Registration(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    address: Annotated[str, Field(min_length=1, max_length=MAX_ADDRESS)]
    labels: Annotated[dict[Text, Text], Field(max_length=MAX_LABELS)] = Field(default_factory=dict)


_LABEL: Json = {"type": "string", "maxLength": MAX_LABEL_CHARACTERS}
REGISTRATION: Json = {
    "type": "object",
    "properties": {
        "address": {"type": "string", "minLength": 1, "maxLength": MAX_ADDRESS},
        "labels": {
            "type": "object",
            "maxProperties": MAX_LABELS,
            "propertyNames": _LABEL,
            "additionalProperties": _LABEL,
        },
    },
    "required": ["address"],
    "additionalProperties": False,
}
"""The JSON Schema of a registration."""


class DiscoveryHandler:
    """Show the sources, and register servers for clients that `tokens` allows."""

    def __init__(self, ports: WebPorts, tokens: Tokens) -> None:
        self._snapshot, self._discovery = ports.snapshot, ports.discovery
        self._tokens = tokens

    def routes(self) -> list[Route]:
        """Return the routes that this object handles."""
        shown = ApiResponse(200, "The sources of servers", DiscoverySchema)
        registered = (
            ApiResponse(200, "Registered", RegisteredSchema),
            ApiResponse(400, "The body is not a registration.", ErrorSchema),
            ApiResponse(401, "The token is missing or wrong.", ErrorSchema),
            ApiResponse(403, "The client or its token may not act.", ErrorSchema),
            ApiResponse(404, "The settings have no source of the kind register, or it is full.", ErrorSchema),
            ApiResponse(413, "The body is larger than 1 MiB.", ErrorSchema),
        )
        path, summary = "/api/register", "Register a ComfyUI server, again at every heartbeat"
        return [
            Route("GET", "/api/discovery", self.show, "Get the sources of servers", (shown,)),
            Route(
                "GET",
                "/api/servers/{name}/origin",
                self.show_origin,
                "Get the source of a server",
                (ApiResponse(200, "The source and the labels", ServerOriginSchema), UNKNOWN_SERVER),
                (SERVER_NAME,),
            ),
            Route("POST", path, self.register, summary, registered, protected=True, body=REGISTRATION),
        ]

    async def show(self, _request: web.Request) -> web.Response:
        """Handle GET /api/discovery."""
        discovery = self._discovery
        return json_response({"sources": [_source(discovery, one) for one in discovery.followed] if discovery else []})

    async def show_origin(self, request: web.Request) -> web.Response:
        """Handle GET /api/servers/{name}/origin."""
        name = existing_server(self._snapshot, request.match_info["name"]).name
        one = self._discovery.origin(name) if self._discovery is not None else None
        source, labels = (None, {}) if one is None else (one.source, dict(one.target.labels))
        return json_response({"server": name, "source": source, "labels": labels})

    async def register(self, request: web.Request) -> web.Response:
        """Handle POST /api/register."""
        self._tokens.authorize(request)
        body = await request.read()
        try:
            discovery, source = self._open_source()
            heartbeat_s = discovery.register(_usable(source, _target(body, source.source.scheme)))
        except NoRegistrationError as error:
            message = "no source of the kind register in the settings, or it is full; see the section discovery"
            raise ApiError(HTTPStatus.NOT_FOUND, "no_registration", message) from error
        return json_response({"heartbeat_s": heartbeat_s})

    def _open_source(self) -> tuple[Discovery, Followed]:
        """Return the discovery and the source at which servers register. Raises NoRegistrationError without one."""
        if self._discovery is None:
            raise NoRegistrationError
        return self._discovery, self._discovery.register_source


def _source(discovery: Discovery, one: Followed) -> Json:
    counts = discovery.counts(one.source.name)
    return {
        "name": one.source.name,
        "kind": one.source.kind,
        "servers": counts.servers,
        "missing": counts.missing,
        "answered_at": None if one.answered_at is None else rfc3339(one.answered_at),
        "failures": one.failures,
        "error": sentence(one.trouble) if one.trouble else None,
        "refused": [sentence(refusal.message) for refusal in one.refusals],
    }


def _target(body: bytes, scheme: str) -> Target:
    """Return the target of a registration; raise ApiError 400 if the body is none."""
    try:
        given = _Registration.model_validate_json(body)
    except ValidationError as error:
        first: Any = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(one) for one in first["loc"]) or "the body"
        raise _invalid(f"{quoted(place)}: {first['msg']}") from error
    try:
        return parse_target(given.address, scheme, given.labels)
    except NotAllowedError as error:
        raise _invalid(f"address {quoted(given.address)}; allowed: {error}") from error


def _usable(one: Followed, target: Target) -> Target:
    """Return the target; raise ApiError 400 if its labels cannot be the name or the group of a server."""
    listing = only_usable(one.source, Listing((target,)))
    if not listing.targets:
        raise _invalid(sentence(joined([refusal.message for refusal in listing.refusals])))
    return target


def _invalid(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_registration", message)
