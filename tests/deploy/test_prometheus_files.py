"""The dashboard, the rules and the docs name metrics and alerts that exist.

test_prometheus.py has the tests that need Prometheus.
"""

import ipaddress
import re
from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy import promql
from tests.deploy.promql import CONFIGURATION, DASHBOARD, NAME, RULES, RULES_TESTS, STRING, Expression
from tests.support.paths import DOCS
from tests.web.metrics_page import PAGE, documented
from tests.web.site import running_site

COLUMNS = 24
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}
WITHOUT_TOTAL = {"histogram": SUFFIXES["histogram"]}
"""The docs name counters with their suffix."""
LOCAL = ("127.0.0.0/8", "192.0.2.0/24")


@pytest.fixture
async def series_names(tmp_path: Path) -> AsyncIterator[set[str]]:
    """The names of the series that Prometheus would store from /metrics of the daemon and of a gateway."""
    gateways = documented(DOCS / "gateway.md").items()
    of_gateways = {name + part for name, row in gateways for part in WITHOUT_TOTAL.get(row.kind, ("",))}
    async with running_site(tmp_path) as site, site.client.get("/metrics") as response:
        families = text_string_to_metric_families(await response.text())
        of_daemon = {family.name + suffix for family in families for suffix in SUFFIXES.get(family.type, ("",))}
        yield of_daemon | of_gateways


async def test_dashboard_names_existing_metrics(series_names: set[str]) -> None:
    queries = [*promql.panel_expressions(), *(one for one, _ in promql.variable_queries())]
    unknown = {(one.panel, name) for one in queries for name in one.names - series_names - promql.recorded()}
    assert not unknown
    assert len(queries) > 30


@pytest.mark.parametrize("file", [RULES, RULES_TESTS], ids=lambda file: str(file.name))
async def test_rules_and_their_tests_name_existing_metrics(series_names: set[str], file: Path) -> None:
    assert names_in(file) <= series_names | promql.recorded()


def names_in(file: Path) -> set[str]:
    """Return the metrics named outside strings and comments."""
    text = STRING.sub('""', file.read_text(encoding="utf-8"))
    return set(NAME.findall(re.sub(r"#.*", "", text)))


def alerts() -> dict[str, str]:
    """Return the severity of every alert."""
    return dict(re.findall(r"- alert: (\w+)\n(?:.*\n)*?\s+severity: (\w+)", RULES.read_text(encoding="utf-8")))


def test_rule_tests_cover_every_alert_firing_and_silent() -> None:
    text = RULES_TESTS.read_text(encoding="utf-8")
    assert set(re.findall(r"- \{alertname: (\w+), eval_time", text)) == set(alerts()), "silent"
    firing = re.findall(r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\s+(?:\[\{|- )exp_labels", text)
    assert set(firing) == set(alerts()), "firing"


def test_docs_list_every_alert_with_its_severity() -> None:
    rows = re.findall(r"^\| `(Comfywarm\w+)` \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == alerts()
    assert len(rows) == len(alerts()) > 15


def test_every_alert_has_summary_and_description() -> None:
    text = RULES.read_text(encoding="utf-8")
    for part in ("summary", "description"):
        assert len(re.findall(rf"^ +{part}: ", text, re.MULTILINE)) == len(alerts())


def test_rules_without_annotations_keep_every_alert() -> None:
    bare = promql.rules_without_annotations()
    assert "summary" not in bare
    assert len(re.findall("severity: ", bare)) == len(alerts())


def test_panels_have_title_description_and_data_source() -> None:
    for panel in promql.panels():
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources), panel["title"]
    titles = [panel["title"] for panel in promql.panels()]
    assert len(set(titles)) == len(titles)


def test_panels_filter_by_selected_daemons_and_groups() -> None:
    for expression in promql.panel_expressions():
        selectors = re.findall(r"\{[^}]*\}", expression.text)
        assert all('job=~"$job", instance=~"$instance"' in one for one in selectors), expression
        if re.search(r"comfywarm_(server|group)", expression.text):
            assert all('group=~"$group"' in one for one in selectors), expression


def test_panels_do_not_overlap() -> None:
    panels = promql.dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        assert not (overlap(one, other, "x", "w") and overlap(one, other, "y", "h")), (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS for panel in panels)


def overlap(one: Any, other: Any, start: str, length: str) -> bool:
    return bool(one[start] < other[start] + other[length] and other[start] < one[start] + one[length])


def test_dashboard_has_current_schema_and_no_id() -> None:
    """Grafana assigns the id. An import with an id would overwrite an unrelated dashboard."""
    dashboard = promql.dashboard()
    assert dashboard["id"] is None
    assert (dashboard["uid"], dashboard["title"]) == ("comfywarm", "comfywarm")
    assert dashboard["schemaVersion"] >= 38
    assert [variable["name"] for variable in dashboard["templating"]["list"]] == [
        "datasource",
        "job",
        "instance",
        "group",
    ]


@pytest.mark.parametrize("file", [CONFIGURATION, RULES, DASHBOARD, PAGE], ids=lambda file: str(file.name))
def test_shipped_files_name_only_loopback_and_example_addresses(file: Path) -> None:
    found = re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", file.read_text(encoding="utf-8"))
    networks = [ipaddress.ip_network(one) for one in LOCAL]
    assert all(any(ipaddress.ip_address(one) in network for network in networks) for one in found)


def test_expression_names_finds_metrics_outside_strings() -> None:
    text = 'sum(rate(comfywarm_a_total{group="comfywarm_no"}[5m])) / on (job) x:comfywarm_b:max30m > process_c'
    assert Expression("", text).names == {"comfywarm_a_total", "x:comfywarm_b:max30m", "process_c"}
