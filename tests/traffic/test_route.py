"""Which warm server the next piece of work goes to."""

import random
from collections import Counter

import pytest

from statemachine.core.view import ServerView
from statemachine.core.vocabulary import State
from statemachine.traffic.router import PICK_LIFETIME_S, Router
from tests.traffic.samples import view


def first() -> float:
    """Decides for the first of equals."""
    return 0.0


def name_of(chosen: ServerView | None) -> str:
    assert chosen is not None
    return chosen.name


def test_only_loaded_servers_are_chosen() -> None:
    states = [view(state.value, state, queue_remaining=0) for state in State if state is not State.LOADED]
    assert Router(first).choose(states, 0) is None
    assert name_of(Router(first).choose([*states, view("warm", queue_remaining=9)], 0)) == "warm"
    assert Router(first).choose([], 0) is None


def test_the_shortest_queue_comes_first_and_an_unknown_one_last() -> None:
    views = [view("unknown"), view("long", queue_remaining=7), view("short", queue_remaining=1)]
    assert name_of(Router(first).choose(views, 0)) == "short"
    assert name_of(Router(first).choose(views[:2], 0)) == "long"
    assert name_of(Router(first).choose(views[:1], 0)) == "unknown"


def test_picks_count_until_the_queue_is_heard_of() -> None:
    router = Router(first)
    stale = [view("a", queue_remaining=0), view("b", queue_remaining=2)]
    assert [name_of(router.choose(stale, 0)) for _ in range(4)] == ["a", "a", "a", "b"]
    heard = [view("a", queue_remaining=1), view("b", queue_remaining=2)]
    assert name_of(router.choose(heard, 0)) == "a"


def test_a_pick_that_brought_no_work_is_forgotten() -> None:
    router = Router(first)
    views = [view("a", queue_remaining=0), view("b", queue_remaining=1)]
    assert name_of(router.choose(views, 0)) == "a"
    assert name_of(router.choose(views, PICK_LIFETIME_S)) == "a"


@pytest.mark.parametrize("queue", [0, None])
def test_many_requests_upon_one_figure_are_spread_evenly(queue: int | None) -> None:
    router = Router(random.Random(1).random)
    views = [view(f"s{number}", queue_remaining=queue) for number in range(8)]
    picks = Counter(name_of(router.choose(views, number / 1000)) for number in range(800))
    assert set(picks.values()) == {100}


def test_rare_requests_are_spread_over_equals() -> None:
    router = Router(random.Random(1).random)
    views = [view(f"s{number}", queue_remaining=0) for number in range(4)]
    picks = Counter(name_of(router.choose(views, number * 60)) for number in range(400))
    assert min(picks.values()) > 70


def test_the_memory_is_bounded_by_what_was_picked_lately() -> None:
    router = Router(first)
    for number in range(1000):
        router.choose([view(f"s{number}")], number * PICK_LIFETIME_S)
    assert len(router._picks) == 1
