"""The dashboard and the rules speak of metrics that there are, and the docs of alerts that there are.

What needs Prometheus itself is in test_prometheus.py.
"""

import ipaddress
import re
from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy import expressions
from tests.deploy.expressions import CONFIGURATION, DASHBOARD, NAME, RULES, RULES_TESTS, STRING, Expression
from tests.web.metrics_page import PAGE
from tests.web.site import running_site

COLUMNS = 24
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}
LOCAL = ("127.0.0.0/8", "192.0.2.0/24")


@pytest.fixture
async def series_names(tmp_path: Path) -> AsyncIterator[set[str]]:
    """The names under which Prometheus would find what the daemon says."""
    async with running_site(tmp_path) as site, site.client.get("/metrics") as response:
        families = text_string_to_metric_families(await response.text())
        yield {family.name + suffix for family in families for suffix in SUFFIXES.get(family.type, ("",))}


async def test_every_name_in_the_dashboard_exists(series_names: set[str]) -> None:
    asked = [*expressions.panel_expressions(), *(one for one, _ in expressions.variable_queries())]
    unknown = {(one.panel, name) for one in asked for name in one.names - series_names - expressions.recorded()}
    assert not unknown
    assert len(asked) > 30


@pytest.mark.parametrize("file", [RULES, RULES_TESTS], ids=lambda file: str(file.name))
async def test_every_name_in_the_rules_and_their_tests_exists(series_names: set[str], file: Path) -> None:
    assert names_in(file) <= series_names | expressions.recorded()


def names_in(file: Path) -> set[str]:
    """The metrics that are named outside of strings and comments."""
    text = STRING.sub('""', file.read_text(encoding="utf-8"))
    return set(NAME.findall(re.sub(r"#.*", "", text)))


def alerts() -> dict[str, str]:
    """Every alert and its severity."""
    return dict(re.findall(r"- alert: (\w+)\n(?:.*\n)*?\s+severity: (\w+)", RULES.read_text(encoding="utf-8")))


def test_every_alert_is_seen_firing_and_silent() -> None:
    text = RULES_TESTS.read_text(encoding="utf-8")
    assert set(re.findall(r"- \{alertname: (\w+), eval_time", text)) == set(alerts()), "silent"
    firing = re.findall(r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\s+(?:\[\{|- )exp_labels", text)
    assert set(firing) == set(alerts()), "firing"


def test_the_docs_list_the_alerts_with_their_severities() -> None:
    rows = re.findall(r"^\| `(Comfywarm\w+)` \| (\w+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == alerts()
    assert len(rows) == len(alerts()) > 15


def test_every_alert_says_what_is_wrong() -> None:
    text = RULES.read_text(encoding="utf-8")
    for part in ("summary", "description"):
        assert len(re.findall(rf"^ +{part}: ", text, re.MULTILINE)) == len(alerts())


def test_annotations_are_left_out_for_the_unit_tests_and_nothing_else() -> None:
    bare = expressions.rules_without_annotations()
    assert "summary" not in bare
    assert len(re.findall("severity: ", bare)) == len(alerts())


def test_panels_have_a_title_a_description_and_the_chosen_data_source() -> None:
    for panel in expressions.panels():
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources), panel["title"]
    titles = [panel["title"] for panel in expressions.panels()]
    assert len(set(titles)) == len(titles)


def test_panels_follow_the_choice_of_daemons_and_groups() -> None:
    for expression in expressions.panel_expressions():
        selectors = re.findall(r"\{[^}]*\}", expression.text)
        assert all('job=~"$job", instance=~"$instance"' in one for one in selectors), expression
        if re.search(r"comfywarm_(server|group)", expression.text):
            assert all('group=~"$group"' in one for one in selectors), expression


def test_no_two_panels_lie_on_one_another() -> None:
    everything = expressions.dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    for one, other in combinations([panel["gridPos"] for panel in everything], 2):
        assert not (overlap(one, other, "x", "w") and overlap(one, other, "y", "h")), (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= COLUMNS for panel in everything)


def overlap(one: Any, other: Any, start: str, length: str) -> bool:
    return bool(one[start] < other[start] + other[length] and other[start] < one[start] + one[length])


def test_a_dashboard_of_todays_format_without_an_id() -> None:
    """Grafana gives the id; with one of another Grafana's an import would overwrite a stranger's dashboard."""
    dashboard = expressions.dashboard()
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
def test_no_address_of_a_real_machine_is_shipped(file: Path) -> None:
    found = re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", file.read_text(encoding="utf-8"))
    networks = [ipaddress.ip_network(one) for one in LOCAL]
    assert all(any(ipaddress.ip_address(one) in network for network in networks) for one in found)


def test_names_are_found_in_expressions() -> None:
    text = 'sum(rate(comfywarm_a_total{group="comfywarm_no"}[5m])) / on (job) x:comfywarm_b:max30m > process_c'
    assert Expression("", text).names == {"comfywarm_a_total", "x:comfywarm_b:max30m", "process_c"}
