"""GET /api/discovery: the sources of servers. POST /api/register: a server registers itself."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from statemachine.core.messages import NO_MESSAGE, Message, joined
from statemachine.discovery.configs import only_usable
from statemachine.discovery.notices import why_held
from statemachine.discovery.registration import may_register
from statemachine.discovery.service import Discovery
from statemachine.discovery.source import Followed, NameTakenError, NoPlaceError, NoRegistrationError
from statemachine.discovery.target import MAX_LABEL_CHARACTERS, MAX_LABELS, MAX_REFUSALS, Listing, Target, parse_target
from statemachine.i18n.render import sentence
from statemachine.publish.serialize import Json, rfc3339
from statemachine.settings.discovery import RegisterSource
from statemachine.settings.listen import is_loopback_address
from statemachine.settings.problems import NotAllowedError
from statemachine.web.local import is_local, is_proxy_header
from statemachine.web.ports import WebPorts
from statemachine.web.responses import ApiError, existing_server, json_response, quoted
from statemachine.web.route import SERVER_NAME, UNKNOWN_SERVER, ApiResponse, Route
from statemachine.web.schemas import ApiModel, ErrorSchema
from statemachine.web.tokens import Tokens

MAX_ADDRESS = 2_000

Text = Annotated[str, Field(max_length=MAX_LABEL_CHARACTERS)]


class RefusalSchema(ApiModel):
    """Why targets of a source are not servers of the fleet."""

    message: str
    message_code: str | None
    message_params: dict[str, Any]


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
    error_code: str | None
    error_params: dict[str, Any]
    held: str | None
    """That more servers are missing than may be removed within the grace time; null if removals are not held back."""
    held_code: str | None
    held_params: dict[str, Any]
    refused: list[str]
    """Why targets of the last answer are not servers of the fleet, at most 100."""
    refusals: list[RefusalSchema]
    """The same with their codes."""
    refused_total: int
    """The number of such targets; a reason of several targets counts once."""


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
            ApiResponse(403, "The client may not register servers, or not this one.", ErrorSchema),
            ApiResponse(404, "The settings have no source of the kind register.", ErrorSchema),
            ApiResponse(409, "Another server has the name.", ErrorSchema),
            ApiResponse(413, "The body is larger than 1 MiB.", ErrorSchema),
            ApiResponse(507, "The fleet, or the source, has as many servers as it may have.", ErrorSchema),
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
        self._tokens.authorize(request, registers=True)
        body = await request.read()
        discovery, source = self._open_source()
        target = _usable(discovery, source, _target(body, source.scheme))
        _require_permitted(request, source, target)
        return json_response({"heartbeat_s": _register(discovery, source, target)})

    def _open_source(self) -> tuple[Discovery, RegisterSource]:
        """Return the discovery and the source at which servers register. Raise ApiError 404 without one."""
        try:
            if self._discovery is not None:
                return self._discovery, self._discovery.register_settings
        except NoRegistrationError:
            pass
        message = "no source of the kind register in the settings; add one to the section discovery"
        raise ApiError(HTTPStatus.NOT_FOUND, "no_registration", message)


def _source(discovery: Discovery, one: Followed) -> Json:
    counts = discovery.counts(one.source.name)
    held = discovery.held(one.source.name)
    shown = [*one.placeless, *(refusal.message for refusal in one.refusals)]
    return {
        "name": one.source.name,
        "kind": one.source.kind,
        "servers": counts.servers,
        "missing": counts.missing,
        "answered_at": None if one.answered_at is None else rfc3339(one.answered_at),
        "failures": one.failures,
        **_named("error", one.trouble),
        **_named("held", why_held(held) if held else NO_MESSAGE),
        "refused": [sentence(refused) for refused in shown[:MAX_REFUSALS]],
        "refusals": [{**refused.as_json(), "message": sentence(refused)} for refused in shown[:MAX_REFUSALS]],
        "refused_total": len(shown) + one.unnamed,
    }


def _named(field: str, what: Message) -> Json:
    """Return a message as the fields of this name; its text is null if there is none."""
    named = {f"{field}_code": what.code or None, f"{field}_params": what.as_json()["message_params"]}
    return {field: sentence(what) if what else None, **named}


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


def _usable(discovery: Discovery, source: RegisterSource, target: Target) -> Target:
    """Return the target; raise ApiError 400 if it cannot be a server of the source."""
    listing = only_usable(source, Listing((target,)), discovery.is_https)
    if not listing.targets:
        raise _invalid(sentence(joined([refusal.message for refusal in listing.refusals])))
    return target


def _require_permitted(request: web.Request, source: RegisterSource, target: Target) -> None:
    """Raise ApiError 403 unless the client may register a server at this address."""
    peer = _peer(request)
    if not may_register(target.address.host, peer, source.networks):
        own = "is not in" if source.networks else f"is not the client's own ({peer or 'hidden by a proxy'}); add it to"
        message = f"address {quoted(target.address.host)} {own} networks of the source {quoted(source.name)}"
        raise ApiError(HTTPStatus.FORBIDDEN, "address_not_permitted", message)


def _peer(request: web.Request) -> str | None:
    """Return the client's address, None if it may be that of a proxy."""
    peer = request.remote
    if any(map(is_proxy_header, request.headers)):
        return None
    return None if peer is not None and is_loopback_address(peer) and not is_local(request) else peer


def _register(discovery: Discovery, source: RegisterSource, target: Target) -> float:
    """Return the seconds until the next heartbeat; raise ApiError if the server cannot be in the fleet now."""
    try:
        return discovery.register(target)
    except NameTakenError as error:
        label = source.name_label
        remedy = f"give it another value of the label {quoted(label)}" if label else "set name_label in the source"
        message = f"another server has the name {quoted(str(error))}; {remedy}"
        raise ApiError(HTTPStatus.CONFLICT, "name_taken", message) from error
    except NoPlaceError as error:
        message = f"there is no place for another server: {error}; see max_servers of {quoted(source.name)}"
        raise ApiError(HTTPStatus.INSUFFICIENT_STORAGE, "no_place", message) from error


def _invalid(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_registration", message)
