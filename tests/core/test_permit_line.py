"""Places of servers that wait for a permit."""

from typing import NamedTuple

import pytest

from statemachine.core.backoff import Budget
from statemachine.core.permit_line import LinePlace, places
from statemachine.i18n.render import render


class Waiter(NamedTuple):
    server: str
    host: str
    group: str = ""


def budget_of(total: int, per_host: int, *hosts: str) -> Budget:
    budget = Budget(total, per_host)
    for number, host in enumerate(hosts):
        budget.take(f"running-{number}", host)
    return budget


def test_places_of_a_full_budget_are_in_order_of_arrival() -> None:
    budget = budget_of(2, 2, "h", "i")
    line = list(places(budget, [Waiter("a", "j"), Waiter("b", "h"), Waiter("c", "j")]))
    assert line == [LinePlace("a", 2, 2, 1), LinePlace("b", 2, 2, 2), LinePlace("c", 2, 2, 3)]


def test_place_of_a_full_host_counts_its_servers_alone() -> None:
    budget = budget_of(8, 1, "h", "i")
    line = list(places(budget, [Waiter("a", "h"), Waiter("b", "i"), Waiter("c", "h")]))
    assert line == [LinePlace("a", 1, 1, 1, "h"), LinePlace("b", 1, 1, 1, "i"), LinePlace("c", 1, 1, 2, "h")]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (LinePlace("a", 8, 8, 3), "8 of 8 warm-ups running, number 3 in line"),
        (LinePlace("a", 1, 1, 2, "gpu-1"), "1 of 1 warm-ups running on host gpu-1, number 2 in line"),
        (LinePlace("a", 9, 8, 101), "9 of 8 warm-ups running, more than 100 servers come first"),
        (LinePlace("a", 8, 8, 1_234), "8 of 8 warm-ups running, more than 1200 servers come first"),
        (LinePlace("a", 7, 8, 1), "a warm-up is free, being assigned"),
    ],
)
def test_place_names_what_runs_and_who_comes_first(place: LinePlace, text: str) -> None:
    assert render(place.shown("wait.permit"), "en") == text


def test_far_place_is_the_same_message_for_hundred_places() -> None:
    shown = {render(LinePlace("a", 8, 8, number).shown("wait.permit"), "en") for number in range(1, 1_001)}
    assert len(shown) == 100 + 9
