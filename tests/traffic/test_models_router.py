"""The choice for a request's models, fed by the snapshot, and POST /api/route."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pytest

from statemachine.comfyui.workflow import parse_workflow
from statemachine.core.server import LiveFigures
from statemachine.core.vocabulary import Reason, State
from statemachine.publish.snapshot import Snapshot
from statemachine.traffic.router import ModelsRouter
from statemachine.web.route_choice import RouteChoiceSchema
from tests.traffic.samples import NOW, view
from tests.web.site import Site, running_site


def workflow(name: str, file: str) -> Any:
    graph = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": file}},
        "2": {"class_type": "CacheModel //comfywarm", "inputs": {"key": name, "tag": "t", "data": ["1", 0]}},
    }
    return parse_workflow(name, orjson.dumps(graph))


WORKFLOWS = {"sdxl": workflow("sdxl", "sdxl.safetensors"), "flux": workflow("flux", "flux.safetensors")}
SDXL, FLUX = frozenset({"sdxl.safetensors"}), frozenset({"flux.safetensors"})


class Fleet:
    """A snapshot of servers with the times that a test sets, and a router that follows it."""

    def __init__(self, **workflows: str) -> None:
        self.at = 100.0
        self.snapshot = Snapshot()
        for name, workflow in workflows.items():
            self.snapshot.put(view(name, queue_remaining=0, workflows=(workflow,)))
        self.router = ModelsRouter(self.snapshot, lambda: WORKFLOWS, lambda: self.at)

    def chosen(self, models: frozenset[str]) -> str | None:
        decision = self.router.choose(models, self.snapshot)
        return decision.chosen.server if decision else None

    def queue(self, name: str, length: int) -> None:
        shown = self.snapshot.get(name)
        assert shown is not None
        self.snapshot.update(name, State.LOADED, shown.since, LiveFigures(None, length, NOW - 5))


def test_router_knows_models_of_confirmed_warm_ups() -> None:
    fleet = Fleet(a="sdxl", b="flux")
    assert [fleet.chosen(SDXL), fleet.chosen(FLUX)] == ["a", "b"]


def test_router_server_that_became_cold_is_not_chosen() -> None:
    fleet = Fleet(a="sdxl", b="flux")
    cold = view("a", State.COLD, missing=("sdxl",), workflows=("sdxl",), last_check=NOW)
    fleet.snapshot.put(cold)
    decision = fleet.router.choose(SDXL, fleet.snapshot)
    assert decision is not None
    assert (decision.chosen.server, decision.others) == ("b", ())
    assert decision.chosen.missing == ("sdxl.safetensors",)


def test_router_follows_queues_between_choices() -> None:
    fleet = Fleet(a="sdxl", b="sdxl")
    first, other = fleet.chosen(SDXL), None
    assert first is not None
    fleet.queue(first, 1)
    for _ in range(2):
        other = fleet.chosen(SDXL)
        assert other not in {first, None}
        fleet.at += 10.0  # the request did not arrive
    fleet.queue(first, 0)
    fleet.queue(str(other), 1)
    assert fleet.chosen(SDXL) == first


def test_router_counts_prompts_queued_before_the_first_choice() -> None:
    fleet = Fleet(a="sdxl", b="sdxl")
    fleet.queue("a", 3)
    assert fleet.chosen(SDXL) == "b"
    fleet.at += 10.0
    fleet.queue("b", 4)
    fleet.queue("a", 0)
    assert fleet.chosen(SDXL) == "a"


def test_router_learns_where_models_were_run() -> None:
    fleet = Fleet(a="sdxl", b="sdxl")
    other = frozenset({"other.pt"})
    first = fleet.chosen(other)
    assert first is not None
    fleet.queue(first, 1)
    fleet.at += 30.0
    fleet.queue(first, 0)
    assert fleet.chosen(other) == first


@pytest.mark.parametrize("reason", [Reason.SERVER_RESTARTED, Reason.SERVER_RETURNED])
def test_router_restart_of_server_clears_it(reason: Reason) -> None:
    fleet = Fleet(a="sdxl", b="sdxl")
    fleet.queue("a", 3)
    away = view("a", State.UNKNOWN, reason=reason, workflows=("sdxl",), since=NOW, queue_remaining=0)
    fleet.snapshot.put(away)
    assert fleet.chosen(FLUX) == "b"


def test_router_forgets_removed_server() -> None:
    fleet = Fleet(a="sdxl", b="flux")
    fleet.snapshot.set_order(["b"])
    assert fleet.chosen(SDXL) == "b"


GRAPH = {"1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux.safetensors"}}}
VIEWS = [
    view("a:8188", queue_remaining=0, workflows=("sdxl",)),
    view("b:8188", queue_remaining=0, workflows=("flux",), group="lab"),
    view("c:8188", State.COLD, queue_remaining=0, workflows=("flux",), group="spare"),
]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a site with two loaded servers and a cold one."""
    async with running_site(tmp_path, views=VIEWS, workflows=WORKFLOWS) as running:
        yield running


async def post(site: Site, body: object) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    async with site.client.post("/api/route", data=BytesIO(data)) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    "body",
    [
        {"graph": GRAPH},
        {"models": ["Flux.safetensors"]},
        {"workflow": "flux"},
        {"graph": {"1": {"class_type": "CachedModel //comfywarm", "inputs": {"key": "flux"}}}},
    ],
)
async def test_post_route_returns_server_that_has_the_models(site: Site, body: object) -> None:
    status, answer = await post(site, body)
    assert (status, answer["server"], answer["prospect"], answer["missing"]) == (200, "b:8188", "warm_idle", [])
    assert answer["expected_wait_s"] == 0
    RouteChoiceSchema.model_validate(answer, extra="forbid")


async def test_post_route_names_runners_up_with_reasons(site: Site) -> None:
    _, answer = await post(site, {"graph": GRAPH})
    (other,) = answer["others"]
    assert (other["server"], other["prospect"], other["missing"]) == ("a:8188", "loads_idle", ["flux.safetensors"])
    assert other["expected_wait_s"] > 0
    assert other["message"] == "must load models, and nothing is queued"


async def test_post_route_keeps_to_the_group(site: Site) -> None:
    _, answer = await post(site, {"graph": GRAPH, "group": "default"})
    assert (answer["server"], answer["others"]) == ("a:8188", [])


@pytest.mark.parametrize(
    ("body", "status", "code", "part"),
    [
        (b"", 400, "invalid_route_request", "not JSON"),
        (b"{", 400, "invalid_route_request", "not JSON"),
        ([], 400, "invalid_route_request", "the body"),
        ({}, 400, "invalid_route_request", "send one of graph"),
        ({"graph": GRAPH, "models": []}, 400, "invalid_route_request", "send one of graph"),
        ({"graph": [1]}, 400, "invalid_route_request", '"graph"'),
        ({"graph": {"nodes": [], "links": []}}, 400, "invalid_route_request", "API format"),
        ({"models": [3]}, 400, "invalid_route_request", '"models.0"'),
        ({"models": ["x" * 501]}, 400, "invalid_route_request", "1 to 500"),
        ({"models": ["x"] * 101}, 400, "invalid_route_request", "100"),
        ({"grpah": GRAPH}, 400, "invalid_route_request", '"grpah"'),
        ({"workflow": "nothing"}, 404, "unknown_workflow", "nothing"),
        ({"models": [], "group": "nowhere"}, 404, "unknown_group", "nowhere"),
        ({"models": [], "group": "spare"}, 503, "none_warm", "0 of 1"),
        (b" " * (2**20 + 1), 413, "request_entity_too_large", ""),
    ],
)
async def test_post_route_error_says_what_is_wrong(site: Site, body: object, status: int, code: str, part: str) -> None:
    found, answer = await post(site, body)
    assert (found, answer["error"]["code"]) == (status, code)
    assert part in answer["error"]["message"]
