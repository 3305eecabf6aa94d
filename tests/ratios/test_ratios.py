"""Ratios of some benchmark cases, on small fleets, in one pair, with a wide margin.

`make bench` measures the figures. The other cases say nothing on a small fleet.
"""

import pytest

from benchmarks.cases import CASES
from benchmarks.figures import Options, Outcome
from benchmarks.harness import run_case
from benchmarks.processes import allow_descriptors

pytestmark = [pytest.mark.ratios, pytest.mark.timeout(150)]

SMALL = Options(servers=200)
MARGIN = 4.0
"""How many times worse than its target a ratio may be, because the machine may be busy."""
GATEWAY_MARGINS = {"gateway_prompt": 2.0, "gateway_view": 1.5}
"""Less, because direct requests, or those through another proxy, are measured in the same run."""


@pytest.mark.parametrize("name", ["frames", "frames_that_change", "status", "journal"])
def test_case_on_a_small_fleet_stays_near_its_target(name: str) -> None:
    allow_descriptors()
    for outcome in run_case(CASES[name], SMALL, 1, print):
        assert _times_worse(outcome) <= MARGIN, f"{outcome.figure.title}: {outcome.ratio:.2f} x its baseline"


@pytest.mark.parametrize("name", GATEWAY_MARGINS)
def test_gateway_adds_little_and_passes_files_as_a_proxy_does(name: str) -> None:
    for outcome in run_case(CASES[name], SMALL, 1, print):
        assert _times_worse(outcome) <= GATEWAY_MARGINS[name], f"{outcome.figure.title}: {outcome.ours}"


def _times_worse(outcome: Outcome) -> float:
    """Return how many times worse than its target the ratio is."""
    if outcome.figure.better == "higher":
        return outcome.figure.target / outcome.ratio
    return outcome.ratio / outcome.figure.target
