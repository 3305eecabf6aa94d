"""What the churn campaign finds of growth."""

from dataclasses import replace

import pytest

from campaigns.churn.growth import ChurnSample, containers, growths
from statemachine.core.backoff import Budget

STEADY = ChurnSample(0.0, 500, 2_000, 240_000, 650_000, 100.0, {"log": 20_000}, {"Fleet._servers": 500})


def grown(**changes: int | dict[str, int]) -> list[str]:
    """Return what is found if the figures change half-way through a day."""
    return growths([STEADY] * 12 + [replace(STEADY, **changes)] * 12)  # type: ignore[arg-type]


def test_steady_daemon_has_not_grown() -> None:
    assert grown() == []
    assert grown(present=550, tasks=2_300, objects=260_000, blocks=700_000, rows={"log": 21_000}) == []


@pytest.mark.parametrize("figure", ["tasks", "objects", "blocks"])
def test_growth_for_each_server_is_found(figure: str) -> None:
    (found,) = grown(**{figure: int(1.2 * getattr(STEADY, figure))})
    assert found.startswith(f"{figure} for each server")


def test_growth_of_rows_and_of_new_containers_is_found() -> None:
    assert grown(rows={"log": 30_000}) == ["rows of log: 20,000 → 30,000"]
    assert grown(containers={"Renewals._loaded": 400}) == ["containers of Renewals._loaded: 0 → 400"]


def test_containers_are_counted_by_class_and_attribute() -> None:
    budgets = [Budget(4, 4), Budget(4, 4)]
    for budget in budgets:
        budget.take("a", "host")
    assert containers([*budgets, [1, 2]])["Budget._place_of"] == 2
