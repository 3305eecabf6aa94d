"""A few simulated days with rolling restarts; `python -m campaigns.simulation --rollouts` runs more."""

import pytest

from tests.simulation.test_simulation import simulate


@pytest.mark.campaign
@pytest.mark.timeout(240)
def test_simulation_of_rolling_restarts_has_no_violation() -> None:
    run = simulate("--rollouts", "--first", "7", "--seeds", "1", "--jobs", "2")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "violations: 0" in run.stdout
    assert "rolling restart started" in run.stdout
