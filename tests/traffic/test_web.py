"""GET /api/route and GET /api/http_sd."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from statemachine.core.vocabulary import State
from statemachine.web.traffic import RoutedServerSchema, TargetsSchema
from tests.traffic.samples import view
from tests.web.site import Site, running_site

VIEWS = [
    view("a:8188", queue_remaining=3),
    view("b:8188", queue_remaining=1, group="lab"),
    view("c:8188", State.COLD, queue_remaining=0),
    view("d:8188", State.COLD, group="spare", workflows=("faces",)),
]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a site with four servers in three groups, two of them warm."""
    async with running_site(tmp_path, views=VIEWS) as running:
        yield running


@pytest.mark.parametrize(
    ("query", "server"),
    [
        ("", "b:8188"),
        ("?group=default", "a:8188"),
        ("?workflow=cache_models", "b:8188"),
        ("?workflow=cache_models&group=lab", "b:8188"),
    ],
)
async def test_route_returns_warm_server(site: Site, query: str, server: str) -> None:
    status, body = await site.get(f"/api/route{query}")
    assert (status, body["server"], body["url"]) == (200, server, f"http://{server}")
    RoutedServerSchema.model_validate(body, extra="forbid")


@pytest.mark.parametrize("query", ["?group=spare", "?workflow=faces"])
async def test_route_without_warm_server_is_503_with_retry_after(site: Site, query: str) -> None:
    async with site.client.get(f"/api/route{query}") as response:
        body = await response.json()
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
    assert body["error"] == {"code": "none_warm", "message": "0 of 1 matching servers are loaded; try again later"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?group=unknown", "unknown_group"),
        ("?workflow=nothing", "unknown_workflow"),
        ("?workflow=faces&group=lab", "unknown_workflow"),
        ("?workflow=", "unknown_workflow"),
    ],
)
async def test_route_for_unknown_group_or_workflow_is_404(site: Site, query: str, code: str) -> None:
    status, body = await site.get(f"/api/route{query}")
    assert (status, body["error"]["code"]) == (404, code)


async def test_route_requests_are_spread_over_warm_servers(site: Site) -> None:
    given = [(await site.get("/api/route"))[1]["server"] for _ in range(10)]
    assert (given.count("a:8188"), given.count("b:8188")) == (4, 6)  # 3 + 4 and 1 + 6


async def test_route_omits_server_that_became_cold(site: Site) -> None:
    site.snapshot.put(VIEWS[1]._replace(state=State.COLD))
    assert (await site.get("/api/route"))[1]["server"] == "a:8188"


async def test_http_sd_lists_every_server(site: Site) -> None:
    status, body = await site.get("/api/http_sd")
    assert status == 200
    TargetsSchema.model_validate(body)
    assert [entry["targets"] for entry in body] == [["a:8188"], ["b:8188"], ["c:8188"], ["d:8188"]]
    assert body[1]["labels"] == {
        "server": "b:8188",
        "group": "lab",
        "__scheme__": "http",
        "__meta_comfywarm_state": "loaded",
    }


async def test_http_sd_handles_default_port_path_and_ipv6(site: Site) -> None:
    site.snapshot.put(view("studio")._replace(url="https://gpu.example/comfy"))
    site.snapshot.put(view("six")._replace(url="http://[2001:db8::1]"))
    _, body = await site.get("/api/http_sd")
    studio, six = body[-2:]
    assert studio["targets"] == ["gpu.example:443"]
    assert studio["labels"]["__scheme__"] == "https"
    assert studio["labels"]["__metrics_path__"] == "/comfy/metrics"
    assert six["targets"] == ["[2001:db8::1]:80"]


async def test_http_sd_state_changes_only_meta_labels(site: Site) -> None:
    _, before = await site.get("/api/http_sd")
    site.snapshot.put(VIEWS[1]._replace(state=State.COLD))
    _, after = await site.get("/api/http_sd")
    assert _kept(before) == _kept(after)
    assert before != after


def _kept(body: list[dict[str, dict[str, str]]]) -> list[dict[str, str]]:
    return [{key: value for key, value in one["labels"].items() if not key.startswith("__meta")} for one in body]
