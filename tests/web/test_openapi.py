"""/openapi.json describes every route, and real responses match it."""

import re
from typing import Any

import pytest
from pydantic import BaseModel

from statemachine.core.server import Attempt
from statemachine.web.actions import AcceptedSchema, GroupAcceptedSchema
from statemachine.web.alerts import AlertsSchema
from statemachine.web.decisions import DecisionsSchema
from statemachine.web.schemas import (
    DetailedServerSchema,
    DetailedStatusSchema,
    ErrorSchema,
    LogSchema,
    ReadySchema,
    StatusSchema,
    component_name,
)
from statemachine.web.servers import AliveSchema, FleetReadySchema
from statemachine.web.stats import StatsSchema
from statemachine.web.trends import MAX_SERVERS, TrendsSchema
from tests.web.site import COLD, LOADED, NOW, Site, transition_entry


async def described(site: Site) -> dict[str, Any]:
    status, document = await site.get("/openapi.json")
    assert status == 200
    assert isinstance(document, dict)
    return document


async def test_openapi_describes_exactly_the_served_routes(site: Site) -> None:
    document = await described(site)
    app = site.client.app
    assert app is not None
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD" and route.resource is not None and route.resource.canonical != "/static"
    }
    named = {(method, path) for path, operations in document["paths"].items() for method in operations}
    assert named == served


async def test_openapi_parameters_and_references_resolve(site: Site) -> None:
    document = await described(site)
    assert document["openapi"].startswith("3.1.")
    components = document["components"]["schemas"]
    assert _references(document) <= {f"#/components/schemas/{name}" for name in components}
    identifiers = []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            identifiers.append(operation["operationId"])
            names = {one["name"] for one in operation.get("parameters", []) if one["in"] == "path"}
            assert names == set(re.findall(r"\{(\w+)\}", path))
    assert len(set(identifiers)) == len(identifiers)


def _references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*(_references(value) for value in node.values()))
    return set().union(*(_references(value) for value in node)) if isinstance(node, list) else set()


ANSWERS: list[tuple[str, int, type[BaseModel]]] = [
    ("/api/status", 200, StatusSchema),
    ("/api/detailed_status", 200, DetailedStatusSchema),
    (f"/api/servers/{COLD}", 200, DetailedServerSchema),
    (f"/api/servers/{LOADED}/ready", 200, ReadySchema),
    (f"/api/servers/{COLD}/ready", 503, ReadySchema),
    ("/api/servers/unknown/ready", 404, ErrorSchema),
    ("/api/events?since=x", 400, ErrorSchema),
    ("/api/log?limit=1", 200, LogSchema),
    ("/api/log?limit=x", 400, ErrorSchema),
    ("/api/log?group=unknown", 404, ErrorSchema),
    ("/api/stats", 200, StatsSchema),
    (f"/api/stats?server={COLD}", 200, StatsSchema),
    ("/api/stats?servers=maybe", 400, ErrorSchema),
    ("/api/stats?server=unknown", 404, ErrorSchema),
    (f"/api/trends?server={COLD}", 200, TrendsSchema),
    ("/api/trends?" + "&".join(f"server={number}" for number in range(MAX_SERVERS + 1)), 400, ErrorSchema),
    ("/api/alerts", 200, AlertsSchema),
    ("/api/decisions", 200, DecisionsSchema),
    (f"/api/decisions?server={COLD}", 200, DecisionsSchema),
    ("/api/decisions?server=unknown", 404, ErrorSchema),
    ("/healthz", 200, AliveSchema),
    ("/readyz", 200, FleetReadySchema),
]


@pytest.mark.parametrize(("path", "status", "model"), ANSWERS)
async def test_response_matches_its_openapi_model(site: Site, path: str, status: int, model: type[BaseModel]) -> None:
    site.journal.append(transition_entry(COLD, "m"), Attempt(COLD, "cache_models", "p-1", NOW, ended_at=NOW + 1))
    await site.transition(COLD, "m2")
    async with site.client.get(path) as response:
        assert response.status == status
        answer = model.model_validate_json(await response.read(), extra="forbid", by_alias=True, by_name=False)
        assert set(answer.model_dump(by_alias=True)) == set(await response.json())
    assert _described_model(await described(site), path, status) == f"#/components/schemas/{component_name(model)}"


def _described_model(document: dict[str, Any], path: str, status: int) -> str:
    route = path.partition("?")[0]
    for name in (COLD, LOADED, "unknown"):
        route = route.replace(name, "{name}")
    reference = document["paths"][route]["get"]["responses"][str(status)]["content"]["application/json"]["schema"]
    assert set(reference) == {"$ref"}
    return str(reference["$ref"])


async def test_action_response_matches_its_openapi_model(site: Site) -> None:
    async with site.client.post(f"/api/servers/{COLD}/check") as response:
        AcceptedSchema.model_validate_json(await response.read(), extra="forbid")
    async with site.client.post("/api/groups/default/check") as response:
        GroupAcceptedSchema.model_validate_json(await response.read(), extra="forbid")
    paths = (await described(site))["paths"]
    for path in ("/api/servers/{name}/check", "/api/groups/{group}/check"):
        assert paths[path]["post"]["security"] == [{"token": []}, {}]
