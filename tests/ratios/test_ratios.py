"""What must not become slower, beside its baseline in the same run: one pair of each, small fleets, wide margins.

The figures themselves are for `make bench`, which measures more: a start, stalls, a growing fleet and a thousand
readers have no meaning in small.
"""

import pytest

from benchmarks.cases import CASES
from benchmarks.figures import Options, Outcome
from benchmarks.harness import run_case
from benchmarks.processes import allow_descriptors

pytestmark = [pytest.mark.ratios, pytest.mark.timeout(150)]

SMALL = Options(servers=200)
MARGIN = 4.0
"""How many times worse than what `make bench` is to reach: a busy machine makes ratios worse, never better."""


@pytest.mark.parametrize("name", ["frames", "frames_that_change", "status", "journal"])
def test_no_ratio_is_far_from_what_is_to_be_reached(name: str) -> None:
    allow_descriptors()
    for outcome in run_case(CASES[name], SMALL, 1, print):
        assert _times_worse(outcome) <= MARGIN, f"{outcome.figure.title}: {outcome.ratio:.2f} x its baseline"


def _times_worse(outcome: Outcome) -> float:
    """Than what is to be reached."""
    if outcome.figure.better == "higher":
        return outcome.figure.target / outcome.ratio
    return outcome.ratio / outcome.figure.target
