"""GET /api/stats, and the same figures in /metrics."""

from pathlib import Path
from typing import Any

import pytest

from statemachine.core.log_entry import EntryKind, LogEntry
from statemachine.core.messages import verbatim
from statemachine.core.vocabulary import Reason, Source, State
from statemachine.journal.store import Write
from tests.web.site import COLD, LOADED, NOW, Site, running_site, two_servers

HOUR = 3_600.0
EMPTY = {
    "warm_share": None,
    "time_to_warm_s": {"count": 0, "p50": None, "p99": None},
    "evictions": 0,
    "attempts": 0,
    "failed_attempts": {},
}

R, S = Reason, State


def entry(server: str, age_s: float, source: State, dest: State, reason: Reason, prompt: str | None = None) -> LogEntry:
    kind, proved_by = EntryKind.TRANSITION, Source.CHECK
    return LogEntry(NOW - age_s, kind, reason, verbatim("m"), server, "default", source, dest, proved_by, prompt)


PAST = [
    entry(LOADED, 2 * HOUR, S.UNKNOWN, S.LOADED, R.ALL_CACHED),
    entry(COLD, 2 * HOUR, S.UNKNOWN, S.COLD, R.KEYS_MISSING),
    entry(COLD, 2 * HOUR - 1, S.COLD, S.SUBMITTING, R.PERMIT_GRANTED, "p"),
    entry(COLD, 2 * HOUR - 2, S.SUBMITTING, S.FAILED, R.OUT_OF_MEMORY, "p"),
    entry(COLD, 1800, S.FAILED, S.SUBMITTING, R.PERMIT_GRANTED, "q"),
    entry(COLD, 1000, S.SUBMITTING, S.CHECKING, R.PROMPT_SUCCEEDED, "q"),
    entry(COLD, 900, S.CHECKING, S.LOADED, R.ALL_CACHED),
    entry(COLD, 450, S.LOADED, S.COLD, R.KEYS_MISSING),
]


async def stats(site: Site, query: str = "", past: list[LogEntry] = PAST) -> dict[str, Any]:
    await site.journal.with_store(lambda store: store.write([Write(one, None) for one in past]))
    status, body = await site.get(f"/api/stats{query}")
    assert status == 200
    return dict(body)


async def test_stats_have_figures_of_fleet_groups_and_servers(site: Site) -> None:
    body = await stats(site)
    assert set(body) == {"generated_at", "fleet", "groups", "servers", "trend"}
    assert body["generated_at"] == "2026-01-01T00:00:00.000Z"
    assert body["servers"][COLD]["1h"] == {
        "warm_share": 0.125,
        "time_to_warm_s": {"count": 1, "p50": 6_300.0, "p99": 6_300.0},
        "evictions": 1,
        "attempts": 1,
        "failed_attempts": {},
    }
    assert body["servers"][COLD]["24h"]["failed_attempts"] == {"out_of_memory": 1}
    assert body["servers"][LOADED]["7d"] == {**EMPTY, "warm_share": 1.0}
    assert body["fleet"] == body["groups"]["default"]
    assert body["fleet"]["1h"]["warm_share"] == 0.5625
    assert body["fleet"]["24h"]["warm_share"] == pytest.approx((7200 + 450) / 14400, abs=1e-6)
    assert list(body["fleet"]) == ["1h", "24h", "7d"]


async def test_stats_trend_has_24_hours_of_fleet_and_groups(site: Site) -> None:
    trend = (await stats(site))["trend"]
    assert set(trend) == {"fleet", "groups"}
    assert set(trend["groups"]) == {"default"}
    assert len(trend["fleet"]) == 24
    assert trend["fleet"][0]["at"] == "2025-12-31T01:00:00.000Z"
    assert [point["warm_share"] for point in trend["fleet"][-4:]] == [None, 0.5, 0.5625, None]


async def test_stats_without_servers_omit_them(site: Site) -> None:
    body = await stats(site, "?servers=false")
    assert body["servers"] == {}
    assert body["fleet"]["1h"]["warm_share"] == 0.5625


@pytest.mark.parametrize("query", ["", "&servers=true", "&servers=false"])
async def test_stats_of_one_server_include_its_trend(site: Site, query: str) -> None:
    body = await stats(site, f"?server={COLD}{query}")
    assert set(body["servers"]) == {COLD}
    assert [point["warm_share"] for point in body["trend"]["server"][-4:]] == [None, 0.0, 0.125, None]
    assert len(body["trend"]["server"]) == 24


async def test_stats_of_large_fleet_include_every_server(tmp_path: Path) -> None:
    loaded, _ = two_servers()
    views = [loaded._replace(name=f"s{number}") for number in range(60)]
    async with running_site(tmp_path, views=views) as site:
        body = await stats(site)
    assert list(body["servers"]) == [f"s{number}" for number in range(60)]
    assert body["servers"]["s59"]["24h"] == body["fleet"]["24h"] == EMPTY


async def test_stats_ignore_removed_server(site: Site) -> None:
    gone = [entry("gone:1", HOUR, S.UNKNOWN, S.COLD, R.KEYS_MISSING)]
    body = await stats(site, past=[*PAST, *gone])
    assert set(body["servers"]) == {LOADED, COLD}
    assert body["fleet"]["1h"]["warm_share"] == 0.5625


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("?server=unknown:1", 404, "unknown_server"), ("?servers=1", 400, "invalid_servers")],
)
async def test_stats_with_invalid_query_are_refused(site: Site, query: str, status: int, code: str) -> None:
    answered, body = await site.get(f"/api/stats{query}")
    assert (answered, body["error"]["code"]) == (status, code)


async def test_stats_without_journal_are_503(site: Site) -> None:
    await site.journal.close()
    status, body = await site.get("/api/stats")
    assert (status, body["error"]["code"]) == (503, "warmth_unknown")


async def metric_lines(site: Site, prefix: str) -> set[str]:
    async with site.client.get("/metrics") as response:
        return {line for line in (await response.text()).splitlines() if line.startswith(prefix)}


async def test_metrics_include_warmth_of_groups_and_fleet(site: Site) -> None:
    await stats(site)
    lines = await metric_lines(site, "comfywarm_")
    assert {
        'comfywarm_fleet_warm_ratio{window="1h"} 0.5625',
        'comfywarm_group_warm_ratio{group="default",window="1h"} 0.5625',
        'comfywarm_group_time_to_warm_p50_seconds{group="default",window="1h"} 6300.0',
        'comfywarm_group_time_to_warm_p99_seconds{group="default",window="7d"} 6300.0',
        'comfywarm_fleet_evictions{window="1h"} 1.0',
        'comfywarm_group_attempts{group="default",window="24h"} 2.0',
        'comfywarm_group_failed_attempts{group="default",reason="out_of_memory",window="24h"} 1.0',
        'comfywarm_fleet_failed_attempts{reason="out_of_memory",window="24h"} 1.0',
    } <= {_sorted_labels(line) for line in lines}


def _sorted_labels(line: str) -> str:
    name, _, rest = line.partition("{")
    labels, _, value = rest.rpartition("}")
    return f"{name}{{{','.join(sorted(labels.split(',')))}}}{value}"


async def test_metrics_omit_unknown_warmth(site: Site) -> None:
    lines = await metric_lines(site, "comfywarm_fleet_")
    assert any(line.startswith("comfywarm_fleet_evictions{") for line in lines)
    assert not any("ratio" in line or "time_to_warm" in line for line in lines)


async def test_metrics_without_journal_omit_warmth(site: Site) -> None:
    await site.journal.close()
    assert await metric_lines(site, "comfywarm_fleet_") == set()
    assert await metric_lines(site, "comfywarm_build_info{")
