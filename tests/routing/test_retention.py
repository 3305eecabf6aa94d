"""How many sets of models a server keeps, and what prompts teach about durations."""

import pytest

from statemachine.routing.averages import MAX_KEYS, PRIOR_LOAD_S, PRIOR_RUN_S, Durations, Table
from statemachine.routing.retention import MAX_DISTANCE, Retention


@pytest.mark.parametrize("room", [1, 2, 3, 5, 15])
def test_retention_learns_capacity_from_noisy_observations(room: int) -> None:
    learned = Retention(Retention())
    for number in range(MAX_DISTANCE * 40):
        distance = number % MAX_DISTANCE
        noise = 0.8 if number % 3 == 0 else -0.4
        learned.observe(distance, (distance < room) + noise)
    assert learned.capacity == room


def test_retention_unknown_server_follows_its_fleet() -> None:
    fleet = Retention()
    busy, new = Retention(fleet), Retention(fleet)
    for _ in range(40):
        for distance in range(1, MAX_DISTANCE):
            busy.observe(distance, float(distance < 4))
    assert new.capacity == busy.capacity == 4


def test_retention_server_unlike_its_fleet_is_learned() -> None:
    fleet = Retention()
    other, small = Retention(fleet), Retention(fleet)
    for _ in range(40):
        for distance in range(1, 6):
            other.observe(distance, 1.0)
            small.observe(distance, 0.0)
    assert (small.capacity, other.capacity) == (1, 6)


def test_retention_never_rises_with_distance_and_stays_in_bounds() -> None:
    learned = Retention()
    for kept, distance in zip([9.0, -9.0, 2.0, -1.0] * 8, [1, 2, 3, 4] * 8, strict=True):
        learned.observe(distance, kept)
    assert list(learned.probabilities) == sorted(learned.probabilities, reverse=True)
    assert all(0.0 <= one <= 1.0 for one in learned.probabilities)
    assert learned.probability(10**9) == 0.0


def test_durations_unknown_models_have_the_average_of_all() -> None:
    durations = Durations()
    assert (durations.run_s(None), durations.load_s("a")) == (PRIOR_RUN_S, PRIOR_LOAD_S)
    for _ in range(100):
        durations.ran(frozenset("a"), 5.0)
        durations.loaded("a", 40.0)
    assert durations.run_s(frozenset("b")) == pytest.approx(5.0, abs=2)
    assert durations.load_s("b") == pytest.approx(40.0, abs=3)


def test_durations_follow_a_change() -> None:
    durations = Durations()
    for seconds in (10.0, 60.0):
        for _ in range(100):
            durations.ran(frozenset("a"), seconds)
    assert durations.run_s(frozenset("a")) == pytest.approx(60.0, abs=1)


def test_durations_share_a_joint_load_between_its_models() -> None:
    durations = Durations()
    for _ in range(60):
        durations.loaded(["a", "b"], 30.0)
    assert durations.missing_s(frozenset("ab"), lambda _: 0.0) == pytest.approx(30.0, abs=2)
    assert durations.missing_s(frozenset("ab"), lambda model: float(model == "a")) == pytest.approx(15.0, abs=1)


def test_table_is_bounded_and_drops_the_oldest() -> None:
    table = Table[str](1.0)
    for number in range(MAX_KEYS + 10):
        table.observe(str(number), 1.0)
    assert (table.is_known("9"), table.is_known("10")) == (False, True)
