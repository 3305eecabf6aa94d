"""A few simulated days with restarts by a hook; `python -m campaigns.simulation --restarts` runs more."""

import pytest

from tests.simulation.test_simulation import simulate


@pytest.mark.campaign
@pytest.mark.timeout(240)
def test_simulation_of_restarts_has_no_violation() -> None:
    run = simulate("--restarts", "--first", "3", "--seeds", "2", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "violations: 0" in run.stdout
    assert "hook restarts its server" in run.stdout
