"""GET and POST /api/decisions over real sockets."""

import json
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from statemachine.settings.listen import ListenToken
from statemachine.web.decision_reports import MAX_DECISIONS, REPORT
from statemachine.web.decisions import CountedSchema, DecisionsSchema
from tests.web.site import COLD, LOADED, Site, running_site
from tests.web.test_metrics import key, scrape

GATEWAY = "0123456789abcdef" * 2
DECISION: dict[str, Any] = {
    "age_s": 1.5,
    "server": LOADED,
    "reason": "displaces",
    "cold": True,
    "expected_wait_s": 20.0,
    "missing": ["flux.safetensors"],
    "others": [{"server": COLD, "prospect": "loads_busy", "expected_wait_s": 30.0}],
}
TOKENS = {
    "reader": ListenToken.model_validate({"token": "a-token-that-may-read", "may": "read"}),
    "gateway": ListenToken.model_validate({"token": "a-token-that-may-act"}),
}


def report(*decisions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"gateway": GATEWAY, "oldest": 0, "first": 0, "decisions": list(decisions), **more}


async def post(site: Site, body: object, token: str | None = None) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with site.client.post("/api/decisions", data=BytesIO(data), headers=headers) as response:
        return response.status, await response.json()


async def shown(site: Site, query: str = "") -> Any:
    status, answer = await site.get(f"/api/decisions{query}")
    assert status == 200
    DecisionsSchema.model_validate_json(json.dumps(answer), extra="forbid")
    return answer


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Run a site with a loaded and a cold server."""
    async with running_site(tmp_path) as running:
        yield running


async def test_decisions_before_any_request_are_empty(site: Site) -> None:
    answer = await shown(site)
    assert (answer["gateways"], answer["servers"], answer["newest"]) == (0, [], [])
    assert answer["fleet"] == {"requests": 0, "known": 0, "cold": 0, "cold_share": None, "reasons": {}}
    assert len(answer["trend"]) == 24


async def test_route_answer_is_shown_with_its_reason(site: Site) -> None:
    async with site.client.post("/api/route", json={"models": ["flux.safetensors"]}) as response:
        assert response.status == 200
    (one,) = (await shown(site))["newest"]
    assert (one["source"], one["server"], one["reason"], one["cold"]) == ("route", LOADED, "only_ready", True)
    assert (one["message"], one["missing"]) == ("the only server that was ready", ["flux.safetensors"])


async def test_report_of_a_gateway_is_shown_and_counted(site: Site) -> None:
    warm = {**DECISION, "reason": "warm", "cold": False, "missing": []}
    status, answer = await post(site, report(DECISION, warm, {**warm, "server": COLD}))
    assert (status, answer) == (200, {"next": 3})
    CountedSchema.model_validate(answer, extra="forbid")
    answer = await shown(site)
    assert (answer["gateways"], answer["server_count"], answer["fleet"]["cold_share"]) == (1, 2, 0.333333)
    assert answer["servers"][0] == {
        "server": LOADED,
        "requests": 2,
        "known": 2,
        "cold": 1,
        "cold_share": 0.5,
        "reasons": {"warm": 1, "displaces": 1},
    }
    assert sum(hour["requests"] for hour in answer["trend"]) == 3
    first = answer["newest"][0]
    assert (first["source"], first["expected_wait_s"]) == ("gateway", 20.0)
    assert first["others"] == [{"server": COLD, "prospect": "loads_busy", "expected_wait_s": 30.0}]


async def test_decisions_of_one_server_leave_out_others(site: Site) -> None:
    await post(site, report(DECISION, {**DECISION, "server": COLD}))
    answer = await shown(site, f"?server={COLD}")
    assert [one["server"] for one in answer["servers"]] == [one["server"] for one in answer["newest"]] == [COLD]
    assert (await site.get("/api/decisions?server=unknown"))[0] == 404


async def test_repeated_report_counts_once(site: Site) -> None:
    for _ in range(2):
        assert await post(site, report(DECISION)) == (200, {"next": 1})
    assert (await shown(site))["fleet"]["requests"] == 1


async def test_report_about_unknown_servers_shows_none_of_them(site: Site) -> None:
    other = {"server": "unknown", "prospect": "warm_idle", "expected_wait_s": 0}
    body = report({**DECISION, "server": "unknown"}, {**DECISION, "others": [other]})
    assert await post(site, body) == (200, {"next": 2})
    answer = await shown(site)
    assert (answer["fleet"]["requests"], answer["newest"][0]["others"]) == (1, [])


async def test_report_shows_no_text_that_is_not_a_file_name(site: Site) -> None:
    await post(site, report({**DECISION, "missing": ["https://a/?key=secret.ckpt", "a\u0007.ckpt", "ok.ckpt"]}))
    assert (await shown(site))["newest"][0]["missing"] == ["ok.ckpt"]


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (b"", "the body"),
        (b"[" * 100_000, "the body"),
        ([], "the body"),
        (report(gateway="g"), '"gateway"'),
        (report(gateway=GATEWAY + "\n"), '"gateway"'),
        (report(first=-1), '"first"'),
        (report(oldest=10**16), '"oldest"'),
        (report(first="0"), '"first"'),
        (report(first=True), '"first"'),
        (report(more=1), '"more"'),
        (report(*[DECISION] * (MAX_DECISIONS + 1)), '"decisions"'),
        (report({**DECISION, "age_s": -1}), '"decisions.0.age_s"'),
        (report({**DECISION, "age_s": float("nan")}), '"decisions.0.age_s"'),
        (report({**DECISION, "reason": "other"}), '"decisions.0.reason"'),
        (report({**DECISION, "server": "x" * 301}), '"decisions.0.server"'),
        (report({**DECISION, "missing": ["x"] * 5}), '"decisions.0.missing"'),
        (report({**DECISION, "others": DECISION["others"] * 4}), '"decisions.0.others"'),
    ],
)
async def test_report_that_is_malformed_is_refused_whole(site: Site, body: object, part: str) -> None:
    status, answer = await post(site, body)
    assert (status, answer["error"]["code"]) == (400, "invalid_report")
    assert part in answer["error"]["message"]
    assert (await shown(site))["gateways"] == 0


async def test_report_above_the_limit_is_refused(site: Site) -> None:
    assert (await post(site, b" " * (2**20 + 1)))[0] == 413


async def test_largest_report_is_within_the_limit(site: Site) -> None:
    name, model = "x" * 300, "模" * 100
    others = [{"server": name, "prospect": "loads_busy", "expected_wait_s": 123456.789}] * 3
    largest = {**DECISION, "server": name, "missing": [model] * 4, "others": others}
    body = json.dumps(report(*[largest] * MAX_DECISIONS), ensure_ascii=False).encode()
    assert (await post(site, body))[0] == 200


async def test_report_needs_a_token_that_may_act(tmp_path: Path) -> None:
    async with running_site(tmp_path, tokens=TOKENS) as site:
        assert (await post(site, report(DECISION)))[0] == 401
        assert (await post(site, report(DECISION), "a-token-that-may-read"))[0] == 403
        assert (await shown(site))["fleet"]["requests"] == 0
        assert (await post(site, report(DECISION), "a-token-that-may-act"))[0] == 200


async def test_report_schema_agrees_with_the_examples() -> None:
    validator = Draft202012Validator(REPORT)
    assert validator.is_valid(report(DECISION, {**DECISION, "cold": None, "expected_wait_s": None}))
    assert not validator.is_valid(report({**DECISION, "reason": "other"}))


async def test_metrics_count_decisions_by_source_and_reason(site: Site) -> None:
    name = "comfywarm_routed_requests_total"
    assert (await scrape(site))[key(name, source="gateway", reason="warm")] == 0, "a rate needs the zero"
    await post(site, report(DECISION, DECISION))
    async with site.client.post("/api/route", json={"models": []}):
        pass
    values = await scrape(site)
    assert values[key(name, source="gateway", reason="displaces")] == 2
    assert values[key("comfywarm_routed_request_models_total", source="gateway", models="missing")] == 2
    assert values[key("comfywarm_routed_request_models_total", source="route", models="unknown")] == 1


async def test_old_decisions_are_left_out(site: Site) -> None:
    await post(site, report({**DECISION, "age_s": 1e9}, {**DECISION, "age_s": 25 * 3600.0}))
    answer = await shown(site)
    assert (answer["fleet"]["requests"], answer["newest"]) == (0, [])
