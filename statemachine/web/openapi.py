"""GET /openapi.json: the OpenAPI document, generated from the declared routes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from typing_extensions import override

from statemachine.publish.serialize import Json
from statemachine.version import version
from statemachine.web.responses import json_response
from statemachine.web.route import JSON_TYPE, ApiResponse, Parameter, Route
from statemachine.web.schemas import component_name

_SCHEMAS = "#/components/schemas/"


def openapi_route(routes: Sequence[Route], common: Sequence[ApiResponse]) -> Route:
    """Return the route that describes `routes` and itself. `common` are responses that every route may give."""

    async def describe(_request: web.Request) -> web.Response:
        return json_response(document([*routes, own], common))

    response = ApiResponse(200, "OpenAPI 3.1 document")
    own = Route("GET", "/openapi.json", describe, "Get this description", (response,))
    return own


def document(routes: Sequence[Route], common: Sequence[ApiResponse] = ()) -> Json:
    """Return the OpenAPI 3.1 document of these routes, each of which may also give the `common` responses."""
    routes = [replace(route, responses=_with_common(route.responses, common)) for route in routes]
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
                    "description": "A token of listen.token or listen.tokens. Without any, only this machine may act.",
                }
            },
        },
    }


def _with_common(own: tuple[ApiResponse, ...], common: Sequence[ApiResponse]) -> tuple[ApiResponse, ...]:
    described = {response.status for response in own}
    return (*own, *(response for response in common if response.status not in described))


def _operation(route: Route) -> Json:
    operation: Json = {
        "operationId": "_".join([route.method.lower(), *_path_words(route.path)]),
        "summary": route.summary,
        "responses": {str(response.status): _response(response) for response in route.responses},
    }
    if route.parameters:
        operation["parameters"] = [_parameter(parameter) for parameter in route.parameters]
    if route.body is not None:
        operation["requestBody"] = {"required": route.requires_body, "content": {JSON_TYPE: {"schema": route.body}}}
    if route.protected:
        operation["security"] = [{"token": []}, {}]
    return operation


def _path_words(path: str) -> list[str]:
    return [word.strip("{}").replace(".", "_") for word in path.split("/") if word] or ["root"]


def _parameter(parameter: Parameter) -> Json:
    return {
        "in": parameter.place,
        "name": parameter.name,
        "required": parameter.place == "path",
        "description": parameter.description,
        "schema": parameter.schema or {"type": parameter.kind},
    }


def _response(response: ApiResponse) -> Json:
    if response.media_type is None:
        return {"description": response.description}
    schema = {"$ref": _SCHEMAS + component_name(response.model)} if response.model else {}
    return {"description": response.description, "content": {response.media_type: {"schema": schema}}}


class _ComponentSchemas(GenerateJsonSchema):
    """Name each component after its model, without the suffix `Schema`."""

    @override
    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name).removesuffix("Schema")


def _schemas(routes: Sequence[Route]) -> dict[str, Any]:
    models = {response.model for route in routes for response in route.responses if response.model is not None}
    ordered = sorted(models, key=component_name)
    _, schema = models_json_schema(
        [(model, "serialization") for model in ordered],
        ref_template=_SCHEMAS + "{model}",
        schema_generator=_ComponentSchemas,
    )
    definitions: dict[str, Any] = schema["$defs"]
    return definitions
