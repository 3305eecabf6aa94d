"""POST /api/route: choose a server for the models that a request needs."""

from http import HTTPStatus

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from statemachine.comfyui.model_needs import MAX_MODELS, MAX_NAME
from statemachine.comfyui.object_info import normalise
from statemachine.core.messages import Message
from statemachine.core.server import ServerView
from statemachine.i18n.render import render
from statemachine.i18n.text import Language
from statemachine.publish.serialize import Json
from statemachine.routing.decision import Decision, Origin, Prospect, ServerCost, explain
from statemachine.traffic.decisions import DecisionLog
from statemachine.traffic.router import ModelsRouter
from statemachine.web.ports import WebPorts, loop_time
from statemachine.web.responses import ApiError, json_response, quoted
from statemachine.web.route import ApiResponse, Route
from statemachine.web.schemas import ApiModel, ErrorSchema
from statemachine.web.traffic import RoutedServerSchema, candidates, none_warm, routed

_NODE: Json = {"type": "object", "properties": {"class_type": {"type": "string"}}, "required": ["class_type"]}
_FORMS: dict[str, Json] = {
    "graph": {"type": "object", "minProperties": 1, "additionalProperties": _NODE},
    "models": {
        "type": "array",
        "maxItems": MAX_MODELS,
        "items": {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
    },
    "workflow": {"type": "string"},
}
BODY: Json = {
    "oneOf": [
        {
            "type": "object",
            "properties": {form: schema, "group": {"type": "string"}},
            "required": [form],
            "additionalProperties": False,
        }
        for form, schema in _FORMS.items()
    ]
}


class RouteRequest(BaseModel):
    """The body: what the request needs, in one of three forms, and optionally a group."""

    model_config = ConfigDict(extra="forbid", strict=True)

    graph: dict[str, object] | None = None
    models: list[str] | None = Field(None, max_length=MAX_MODELS)
    workflow: str | None = None
    group: str | None = None


class RouteCostSchema(ApiModel):
    """What a request costs on a server."""

    server: str
    prospect: Prospect
    """Whether the models are ready (`warm_`) or loaded first (`loads_`), and whether work is queued."""
    message: str
    """In the daemon's language."""
    expected_wait_s: float
    """Seconds until the request's own work begins: the work queued there and the loads."""
    work_s: float
    load_s: float
    price_s: float
    """What pushing out other models costs later requests, in seconds."""
    missing: list[str]
    """Models that are probably not ready."""
    unknown: list[str]
    """Models among the missing ones of which nothing is known there."""


class RouteChoiceSchema(RoutedServerSchema, RouteCostSchema):
    """The best server for a request, and the next best ones."""

    others: list[RouteCostSchema]
    """Best first."""


class RouteChoiceHandler:
    """Handle POST /api/route and note the choices in `log`. `language` is that of the messages."""

    def __init__(self, ports: WebPorts, log: DecisionLog, language: Language) -> None:
        self._ports = ports
        self._log = log
        self._language = language
        self._router = ModelsRouter(ports.snapshot, ports.workflows, loop_time)

    def routes(self) -> list[Route]:
        """Return the routes that this object handles."""
        responses = (
            ApiResponse(200, "The loaded server with the least expected finish", RouteChoiceSchema),
            ApiResponse(400, "The body does not say what the request needs.", ErrorSchema),
            ApiResponse(404, "The group does not exist, or no server has the workflow.", ErrorSchema),
            ApiResponse(413, "The body is larger than 1 MiB.", ErrorSchema),
            ApiResponse(503, "No matching server is loaded.", ErrorSchema),
        )
        summary = "Choose a server for a graph or models"
        return [Route("POST", "/api/route", self.choose, summary, responses, body=BODY)]

    async def choose(self, request: web.Request) -> web.Response:
        """Handle POST /api/route."""
        wanted = _parse(await request.read())
        found = candidates(self._ports.snapshot, wanted.workflow, wanted.group)
        models = self._models(wanted)
        decision = self._router.choose(models, found)
        if decision is None:
            raise none_warm(len(found))
        self._log.note(Origin.ROUTE, explain(decision.chosen.server, models, decision))
        view = next(one for one in found if one.name == decision.chosen.server)
        return json_response(self._answer(view, decision))

    def _models(self, wanted: RouteRequest) -> frozenset[str] | None:
        if wanted.graph is not None:
            return self._router.models_of(wanted.graph)
        if wanted.models is not None:
            return frozenset(normalise(name) for name in wanted.models)
        return self._router.models_of_workflow(wanted.workflow or "")

    def _answer(self, view: ServerView, decision: Decision) -> Json:
        return {
            **routed(view),
            **self._cost(decision.chosen),
            "others": [self._cost(one) for one in decision.others],
        }

    def _cost(self, one: ServerCost) -> Json:
        return {
            "server": one.server,
            "prospect": one.prospect.value,
            "message": render(Message(f"route.{one.prospect.value}"), self._language),
            "expected_wait_s": round(one.wait_s, 1),
            "work_s": round(one.work_s, 1),
            "load_s": round(one.load_s, 1),
            "price_s": round(one.price_s, 1),
            "missing": list(one.missing),
            "unknown": list(one.unknown),
        }


def _parse(body: bytes) -> RouteRequest:
    """Return the body; raise ApiError 400 if it cannot be used."""
    try:
        wanted = RouteRequest.model_validate(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise _invalid(f"the body is not JSON: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(one) for one in first["loc"]) or "the body"
        raise _invalid(f"{quoted(place)}: {first['msg']}") from error
    for name in wanted.model_fields_set:
        if getattr(wanted, name) is None:
            raise _invalid(f"{name} is null; leave it out")
    if len(wanted.model_fields_set & _FORMS.keys()) != 1:
        raise _invalid("send one of graph (in API format), models (names of files) or workflow (the name of a file)")
    if any(not name or len(name) > MAX_NAME for name in wanted.models or ()):
        raise _invalid(f"models: a name has 1 to {MAX_NAME} characters")
    nodes = (wanted.graph or {}).values()
    if wanted.graph == {} or not all(
        isinstance(node, dict) and isinstance(node.get("class_type"), str) for node in nodes
    ):
        raise _invalid("graph: a node has no class_type; export the workflow in API format")
    return wanted


def _invalid(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "invalid_route_request", message)
