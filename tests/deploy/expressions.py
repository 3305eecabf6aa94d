"""Every PromQL expression that is shipped, and the names of metrics in it."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

DEPLOY = Path(__file__).parents[2] / "deploy"
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
"""What Grafana would put in."""


class Expression(NamedTuple):
    """`panel` is the title of where it stands."""

    panel: str
    text: str

    @property
    def filled(self) -> str:
        """As Grafana would ask it."""
        text = self.text
        for variable, value in VARIABLES.items():
            text = text.replace(variable, value)
        return text

    @property
    def names(self) -> set[str]:
        """The metrics, recorded ones included, that it reads."""
        return set(NAME.findall(STRING.sub('""', self.text)))


def dashboard() -> Any:
    """The shipped dashboard."""
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def panels() -> list[Any]:
    """Its panels, without the headings of rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def panel_expressions() -> list[Expression]:
    """What its panels and annotations ask."""
    asked = [Expression(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]
    marks = [Expression(mark["name"], mark["expr"]) for mark in dashboard()["annotations"]["list"] if "expr" in mark]
    return asked + marks


def variable_queries() -> list[tuple[Expression, str]]:
    """What its variables ask: the series, and the label whose values are wanted."""
    found = [LABEL_VALUES.fullmatch(one.get("definition", "")) for one in dashboard()["templating"]["list"]]
    return [(Expression("variables", match["series"]), match["label"]) for match in found if match]


def recorded() -> set[str]:
    """The names that the recording rules make."""
    return set(re.findall(r"- record: (\S+)", RULES.read_text(encoding="utf-8")))


def rules_without_annotations() -> str:
    """For unit tests, which would otherwise have to repeat every sentence."""
    text = RULES.read_text(encoding="utf-8")
    return re.sub(r"^( +)annotations:\n(?:\1 +.*\n)+", "", text, flags=re.MULTILINE)
