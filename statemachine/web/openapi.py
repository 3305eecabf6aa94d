"""The description of a route, and the OpenAPI document made from all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp.typedefs import Handler
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from statemachine.publish.serialize import Json
from statemachine.version import version

JSON_TYPE = "application/json"
_SCHEMAS = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class Answer:
    """One possible answer; without a model only its media type is described, without either it has no body."""

    status: int
    description: str
    model: type[BaseModel] | None = None
    media_type: str | None = JSON_TYPE


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the path, the query or a header. `kind` is its JSON type, `schema` goes before it."""

    place: str
    name: str
    description: str
    kind: str = "string"
    schema: Json | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """Where a handler is reached, and what it answers."""

    method: str
    path: str
    handler: Handler
    summary: str
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    protected: bool = False


def document(routes: Sequence[Route], everywhere: Sequence[Answer] = ()) -> Json:
    """The OpenAPI 3.1 document of these routes; what is answered `everywhere` is said of each."""
    routes = [replace(route, answers=_with_own(everywhere, route.answers)) for route in routes]
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "comfywarm",
            "version": version(),
            "description": "Keeps fleets of ComfyUI servers warm. Times are RFC 3339 UTC.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "listen.token of the settings; where none is set, only loopback may act.",
                }
            },
        },
    }


def _with_own(everywhere: Sequence[Answer], own: tuple[Answer, ...]) -> tuple[Answer, ...]:
    described = {answer.status for answer in own}
    return (*own, *(answer for answer in everywhere if answer.status not in described))


def _operation(route: Route) -> Json:
    operation: Json = {
        "operationId": "_".join([route.method.lower(), *_words(route.path)]),
        "summary": route.summary,
        "responses": {str(answer.status): _answer(answer) for answer in route.answers},
    }
    if route.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in route.parameters]
    if route.protected:
        operation["security"] = [{"token": []}, {}]
    return operation


def _words(path: str) -> list[str]:
    return [word.strip("{}").replace(".", "_") for word in path.split("/") if word] or ["root"]


def _parameter(parameter: Parameter) -> Json:
    return {
        "in": parameter.place,
        "name": parameter.name,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema or {"type": parameter.kind},
    }


def _answer(answer: Answer) -> Json:
    if answer.media_type is None:
        return {"description": answer.description}
    schema = {"$ref": _SCHEMAS + answer.model.__name__} if answer.model else {}
    return {"description": answer.description, "content": {answer.media_type: {"schema": schema}}}


def _schemas(routes: Sequence[Route]) -> dict[str, Any]:
    models = {answer.model for route in routes for answer in route.answers if answer.model is not None}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schema = models_json_schema([(model, "serialization") for model in ordered], ref_template=_SCHEMAS + "{model}")
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
