"""What must not become slower, beside its baseline in the same run: small fleets, few runs, wide margins.

The figures themselves are for `make bench`. Stalls and the growth of cost have no meaning in small.
"""

import pytest

from benchmarks.cases import CASES
from benchmarks.figures import Options, Outcome
from benchmarks.harness import run_case
from benchmarks.processes import allow_descriptors

pytestmark = [pytest.mark.ratios, pytest.mark.timeout(150)]

SMALL = Options(fleet=400, servers=200, stall_seconds=5.0)
RUNS = 2
MARGIN = 2.0
"""How many times worse than what `make bench` is to reach."""
NOT_IN_SMALL = {"stalls", "scaling"}


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_IN_SMALL])
def test_no_ratio_is_far_from_what_is_to_be_reached(name: str) -> None:
    allow_descriptors()
    for outcome in run_case(CASES[name], SMALL, RUNS, print):
        assert _times_worse(outcome) <= MARGIN, f"{outcome.figure.title}: {outcome.ratio:.2f} x its baseline"


def _times_worse(outcome: Outcome) -> float:
    """Than what is to be reached; by the better of the runs, for a busy machine makes ratios worse, never better."""
    if outcome.figure.better == "higher":
        return outcome.figure.target / max(outcome.ratios)
    return min(outcome.ratios) / outcome.figure.target
