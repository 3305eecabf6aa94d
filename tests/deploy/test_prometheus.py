"""The shipped files for Prometheus and Grafana, with real programs: promtool, and Prometheus that scrapes a daemon."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from statemachine.core.vocabulary import State
from tests.deploy import promql
from tests.deploy.prometheus_harness import GROUPS, Deployment, deployed, run, until
from tests.deploy.promql import CONFIGURATION, RULES, RULES_TESTS, Expression

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed; run make test-deploy"),
]

MAY_BE_EMPTY = {
    "Alerts sent": "the daemon has no alert channels here",
    "Daemon starts": "the daemon starts before Prometheus",
}
"""Panels with expressions that have no series in these tests, and why."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    """A deployment shared by all tests. Each test leaves it as it was."""
    async with deployed(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


async def test_shipped_configuration_and_rules_are_valid() -> None:
    code, output = await run("promtool", "check", "config", CONFIGURATION)
    assert code == 0, output
    assert "1 rule files found" in output
    code, output = await run("promtool", "check", "rules", RULES)
    assert code == 0, output
    assert "WARN" not in output


async def test_rules_pass_their_unit_tests(tmp_path: Path) -> None:
    (tmp_path / RULES.name).write_text(promql.rules_without_annotations(), encoding="utf-8")
    tests = shutil.copy(RULES_TESTS, tmp_path)
    code, output = await run("promtool", "test", "rules", tests)
    assert code == 0, output


async def test_metrics_output_passes_promtool_lint(deployment: Deployment) -> None:
    assert await run("promtool", "check", "metrics", stdin=await deployment.metrics()) == (0, "")


async def test_scrape_of_daemon_succeeds(deployment: Deployment) -> None:
    async def scraped() -> Any:
        targets = await deployment.prometheus.targets("comfywarm")
        return targets and targets[0]["health"] != "unknown" and targets

    (target,) = await until(scraped)
    assert (target["health"], target["lastError"]) == ("up", "")
    assert await deployment.prometheus.query('scrape_samples_scraped{job="comfywarm"} > 200')


async def test_scraped_states_match_status_api(deployment: Deployment) -> None:
    """Repeat until no state changes between the scrape and the request."""

    async def agreed() -> bool:
        status = await deployment.status()
        counts = await deployment.prometheus.query("sum by (state) (comfywarm_servers)")
        servers = await deployment.prometheus.query("comfywarm_server_state")
        expected = {one["name"]: (one["group"], one["state"], one["reason"]) for one in status["servers"]}
        seen = {one["server"]: (one["group"], one["state"], one["reason"]) for one, _ in servers}
        states = {state.value: status["states"].get(state.value, 0) for state in State}
        return seen == expected and states == {labels["state"]: value for labels, value in counts}

    assert await until(agreed)


async def test_loaded_rules_are_healthy(deployment: Deployment) -> None:
    async def evaluated() -> list[Any]:
        groups = (await deployment.prometheus.get("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else []

    rules = await until(evaluated)
    assert {rule["health"] for rule in rules} == {"ok"}
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert [rule["name"] for rule in rules if rule["type"] == "alerting"] == alerts


async def test_dashboard_expressions_return_series(deployment: Deployment) -> None:
    """Wait for the series: a rate needs two scrapes, and a failed server is tried again after its backoff."""
    queries = promql.panel_expressions()
    wanted = [one for one in queries if one.panel not in MAY_BE_EMPTY]

    async def empty(some: list[Expression]) -> list[Expression]:
        return [one for one in some if not await deployment.prometheus.query(one.filled)]

    async def all_answered() -> bool:
        return not await empty(wanted)

    try:
        await until(all_answered)
    except AssertionError:
        pytest.fail(f"no series: {await empty(wanted)}")
    assert {one.panel for one in await empty(queries)} <= set(MAY_BE_EMPTY)


async def test_dashboard_variables_have_values(deployment: Deployment) -> None:
    found = {}
    for series, label in promql.variable_queries():
        found[label] = await deployment.prometheus.get(f"label/{label}/values", **{"match[]": series.filled})
    address = deployment.daemon.address.removeprefix("http://")
    assert found == {"job": ["comfywarm"], "instance": [address], "group": sorted(GROUPS)}


async def test_service_discovery_finds_servers(deployment: Deployment) -> None:
    """Check the shipped job, which turns the servers of a machine and group into one target for their exporter."""

    async def discovered() -> list[Any]:
        return await deployment.prometheus.targets("comfyui-hosts")

    targets = await until(discovered)
    assert await deployment.prometheus.own_metric("prometheus_sd_discovered_targets", config="comfyui-hosts") == len(
        deployment.fleet.members
    )
    assert {one["labels"]["group"] for one in targets} == set(GROUPS)
    assert {one["scrapeUrl"] for one in targets} == {"http://127.0.0.1:9100/metrics"}


async def test_unreachable_alert_fires_and_resolves(deployment: Deployment) -> None:
    away = [member for member in deployment.fleet.members if member.group == "public"][:2]
    name = "ComfywarmServerUnreachable"
    assert not await deployment.prometheus.alerts(name)

    async def firing() -> list[Any]:
        found = await deployment.prometheus.alerts(name)
        return found if len(found) == len(away) else []

    async def resolved() -> bool:
        return not await deployment.prometheus.alerts(name) and not await deployment.prometheus.alerts(name, "pending")

    await asyncio.gather(*(member.server.go_down() for member in away))
    try:
        alerts = await until(firing)
    finally:
        await asyncio.gather(*(member.server.come_back() for member in away))
    assert {one["labels"]["server"] for one in alerts} == {member.name for member in away}
    assert {one["labels"]["group"] for one in alerts} == {"public"}
    for text in [text for one in alerts for text in one["annotations"].values()]:
        assert "no value" not in text
    assert await until(resolved)


async def test_down_alert_fires_while_daemon_is_stopped(deployment: Deployment) -> None:
    async def firing() -> list[Any]:
        return await deployment.prometheus.alerts("ComfywarmDown")

    async def resolved() -> bool:
        return not await deployment.prometheus.alerts("ComfywarmDown")

    assert await resolved()
    assert await deployment.daemon.end() == 0
    try:
        (alert,) = await until(firing)
    finally:
        await deployment.daemon.start()
    assert alert["labels"]["severity"] == "critical"
    assert await until(resolved)


async def test_firing_alert_texts_have_all_values(deployment: Deployment) -> None:
    """Some alerts always fire here, because half of the servers never become warm."""

    async def firing() -> list[Any]:
        return [one for one in (await deployment.prometheus.get("alerts"))["alerts"] if one["state"] == "firing"]

    for alert in await until(firing):
        for text in alert["annotations"].values():
            assert "no value" not in text, alert
            assert "{{" not in text, alert


async def test_prometheus_and_daemon_logged_no_errors(deployment: Deployment) -> None:
    """Run last. Service discovery may fail with refused connections while the daemon is down."""
    lines = deployment.prometheus.output().splitlines()
    assert [line for line in lines if "discovery=http" not in line or "connection refused" not in line] == []
    assert deployment.daemon.faults() == []
