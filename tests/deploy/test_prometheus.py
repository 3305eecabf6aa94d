"""What is shipped for Prometheus and Grafana, tried with Debian's promtool and Prometheus on a real daemon."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from statemachine.core.vocabulary import State
from tests.deploy import expressions
from tests.deploy.expressions import CONFIGURATION, RULES, RULES_TESTS, Expression
from tests.deploy.prometheus_rig import GROUPS, Scene, run, scene, until

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        shutil.which("promtool") is None, reason="Prometheus is not installed: make test-deploy does it"
    ),
]

MAY_BE_EMPTY = {
    "Alerts told": "alerts are not set up here",
    "Starts of the daemon": "it was started before Prometheus",
}
"""Panels of which some expression has no series here, and why."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """One for all tests: they leave it as they found it."""
    async with scene(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


async def test_the_shipped_configuration_and_rules_are_valid() -> None:
    code, said = await run("promtool", "check", "config", CONFIGURATION)
    assert code == 0, said
    assert "1 rule files found" in said
    code, said = await run("promtool", "check", "rules", RULES)
    assert code == 0, said
    assert "WARN" not in said


async def test_every_alert_fires_when_it_should_and_only_then(tmp_path: Path) -> None:
    (tmp_path / RULES.name).write_text(expressions.rules_without_annotations(), encoding="utf-8")
    tests = shutil.copy(RULES_TESTS, tmp_path)
    code, said = await run("promtool", "test", "rules", tests)
    assert code == 0, said


async def test_the_linter_finds_nothing_in_the_output(stage: Scene) -> None:
    assert await run("promtool", "check", "metrics", stdin=await stage.metrics()) == (0, "")


async def test_the_daemon_is_scraped_without_an_error(stage: Scene) -> None:
    async def scraped() -> Any:
        targets = await stage.prometheus.targets("comfywarm")
        return targets and targets[0]["health"] != "unknown" and targets

    (target,) = await until(scraped)
    assert (target["health"], target["lastError"]) == ("up", "")
    assert await stage.prometheus.query('scrape_samples_scraped{job="comfywarm"} > 200')


async def test_prometheus_knows_what_the_daemon_says(stage: Scene) -> None:
    """Both ask at different times, so this is asked until nothing changes in between."""

    async def agreed() -> bool:
        status = await stage.status()
        counts = await stage.prometheus.query("sum by (state) (comfywarm_servers)")
        servers = await stage.prometheus.query("comfywarm_server_state")
        expected = {one["name"]: (one["group"], one["state"], one["reason"]) for one in status["servers"]}
        seen = {one["server"]: (one["group"], one["state"], one["reason"]) for one, _ in servers}
        states = {state.value: status["states"].get(state.value, 0) for state in State}
        return seen == expected and states == {labels["state"]: value for labels, value in counts}

    assert await until(agreed)


async def test_the_rules_are_loaded_and_well(stage: Scene) -> None:
    async def evaluated() -> list[Any]:
        groups = (await stage.prometheus.ask("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else []

    rules = await until(evaluated)
    assert {rule["health"] for rule in rules} == {"ok"}
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert [rule["name"] for rule in rules if rule["type"] == "alerting"] == alerts


async def test_every_expression_of_the_dashboard_has_an_answer(stage: Scene) -> None:
    """After a while: a rate wants two scrapes, a failure is tried again after its backoff."""
    asked = expressions.panel_expressions()
    wanted = [one for one in asked if one.panel not in MAY_BE_EMPTY]

    async def empty(some: list[Expression]) -> list[Expression]:
        return [one for one in some if not await stage.prometheus.query(one.filled)]

    async def all_answered() -> bool:
        return not await empty(wanted)

    try:
        await until(all_answered)
    except AssertionError:
        pytest.fail(f"no series: {await empty(wanted)}")
    assert {one.panel for one in await empty(asked)} <= set(MAY_BE_EMPTY)


async def test_the_variables_of_the_dashboard_have_values(stage: Scene) -> None:
    found = {}
    for series, label in expressions.variable_queries():
        found[label] = await stage.prometheus.ask(f"label/{label}/values", **{"match[]": series.filled})
    address = stage.daemon.address.removeprefix("http://")
    assert found == {"job": ["comfywarm"], "instance": [address], "group": sorted(GROUPS)}


async def test_the_servers_are_found_by_service_discovery(stage: Scene) -> None:
    """The shipped job turns them into what runs beside them: one exporter for the servers of one machine and group."""

    async def discovered() -> list[Any]:
        return await stage.prometheus.targets("comfyui-hosts")

    targets = await until(discovered)
    assert await stage.prometheus.own_figure("prometheus_sd_discovered_targets", config="comfyui-hosts") == len(
        stage.fleet.members
    )
    assert {one["labels"]["group"] for one in targets} == set(GROUPS)
    assert {one["scrapeUrl"] for one in targets} == {"http://127.0.0.1:9100/metrics"}


async def test_an_alert_fires_while_servers_are_away_and_is_resolved_when_they_are_back(stage: Scene) -> None:
    away = [member for member in stage.fleet.members if member.group == "public"][:2]
    name = "ComfywarmServerUnreachable"
    assert not await stage.prometheus.alerts(name)

    async def firing() -> list[Any]:
        found = await stage.prometheus.alerts(name)
        return found if len(found) == len(away) else []

    async def resolved() -> bool:
        return not await stage.prometheus.alerts(name) and not await stage.prometheus.alerts(name, "pending")

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


async def test_an_alert_fires_while_the_daemon_is_down(stage: Scene) -> None:
    async def firing() -> list[Any]:
        return await stage.prometheus.alerts("ComfywarmDown")

    async def resolved() -> bool:
        return not await stage.prometheus.alerts("ComfywarmDown")

    assert await resolved()
    assert await stage.daemon.end() == 0
    try:
        (alert,) = await until(firing)
    finally:
        await stage.daemon.start()
    assert alert["labels"]["severity"] == "critical"
    assert await until(resolved)


async def test_every_sentence_of_a_firing_alert_is_whole(stage: Scene) -> None:
    """Half of the servers never become warm here, so some alerts always fire."""

    async def firing() -> list[Any]:
        return [one for one in (await stage.prometheus.ask("alerts"))["alerts"] if one["state"] == "firing"]

    for alert in await until(firing):
        for text in alert["annotations"].values():
            assert "no value" not in text, alert
            assert "{{" not in text, alert


async def test_nothing_went_wrong(stage: Scene) -> None:
    """Last. While the daemon was down, service discovery had nobody to ask."""
    lines = stage.prometheus.said().splitlines()
    assert [line for line in lines if "discovery=http" not in line or "connection refused" not in line] == []
    assert stage.daemon.faults() == []
