"""The PromQL expressions of the shipped dashboard and rules, and the metrics that they name."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.paths import DEPLOY

DASHBOARD = DEPLOY / "grafana" / "comfywarm.json"
RULES = DEPLOY / "prometheus" / "comfywarm.rules.yml"
CONFIGURATION = DEPLOY / "prometheus" / "prometheus.yml"
RULES_TESTS = Path(__file__).with_name("alerts.yml")

NAME = re.compile(r"\b(?:\w+:)?(?:comfywarm|process)_\w+(?::\w+)?")
STRING = re.compile(r'"[^"]*"')
LABEL_VALUES = re.compile(r"label_values\((?P<series>.*), (?P<label>\w+)\)")

VARIABLES = {
    "$__rate_interval": "30s",
    "$__range": "5m",
    "$job": "comfywarm",
    "$instance": ".*",
    "$group": ".*",
}
"""Values for Grafana's variables."""


class Expression(NamedTuple):
    """An expression. `panel` is the title of its panel or annotation."""

    panel: str
    text: str

    @property
    def filled(self) -> str:
        """The expression with Grafana's variables filled in."""
        text = self.text
        for variable, value in VARIABLES.items():
            text = text.replace(variable, value)
        return text

    @property
    def names(self) -> set[str]:
        """The metrics and recorded series that the expression reads."""
        return set(NAME.findall(STRING.sub('""', self.text)))


def dashboard() -> Any:
    """Read the shipped dashboard."""
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def panels() -> list[Any]:
    """Return the dashboard's panels, without row headings."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def panel_expressions() -> list[Expression]:
    """Return the expressions of the dashboard's panels and annotations."""
    queries = [Expression(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]
    marks = [Expression(mark["name"], mark["expr"]) for mark in dashboard()["annotations"]["list"] if "expr" in mark]
    return queries + marks


def variable_queries() -> list[tuple[Expression, str]]:
    """Return the queries of the dashboard's variables: each series, and the label whose values it lists."""
    found = [LABEL_VALUES.fullmatch(one.get("definition", "")) for one in dashboard()["templating"]["list"]]
    return [(Expression("variables", match["series"]), match["label"]) for match in found if match]


def recorded() -> set[str]:
    """Return the series that the recording rules define."""
    return set(re.findall(r"- record: (\S+)", RULES.read_text(encoding="utf-8")))


def rules_without_annotations() -> str:
    """Return the rules without annotations, so that their unit tests need not repeat the texts."""
    text = RULES.read_text(encoding="utf-8")
    return re.sub(r"^( +)annotations:\n(?:\1 +.*\n)+", "", text, flags=re.MULTILINE)
