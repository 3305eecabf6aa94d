"""The choice of a warm server for the next request."""

import random
from collections import Counter

import pytest

from statemachine.core.server import ServerView
from statemachine.core.vocabulary import State
from statemachine.traffic.router import PICK_LIFETIME_S, Router
from tests.traffic.samples import view


def first() -> float:
    """Choose the first of equals."""
    return 0.0


def name_of(chosen: ServerView | None) -> str:
    assert chosen is not None
    return chosen.name


def test_router_chooses_only_loaded_servers() -> None:
    states = [view(state.value, state, queue_remaining=0) for state in State if state is not State.LOADED]
    assert Router(first).choose(states, 0) is None
    assert name_of(Router(first).choose([*states, view("warm", queue_remaining=9)], 0)) == "warm"
    assert Router(first).choose([], 0) is None


def test_router_prefers_short_queue_and_unknown_last() -> None:
    views = [view("unknown"), view("long", queue_remaining=7), view("short", queue_remaining=1)]
    assert name_of(Router(first).choose(views, 0)) == "short"
    assert name_of(Router(first).choose(views[:2], 0)) == "long"
    assert name_of(Router(first).choose(views[:1], 0)) == "unknown"


def test_router_counts_picks_until_queue_changes() -> None:
    router = Router(first)
    stale = [view("a", queue_remaining=0), view("b", queue_remaining=2)]
    assert [name_of(router.choose(stale, 0)) for _ in range(4)] == ["a", "a", "a", "b"]
    reported = [view("a", queue_remaining=1), view("b", queue_remaining=2)]
    assert name_of(router.choose(reported, 0)) == "a"


def test_router_forgets_old_picks() -> None:
    router = Router(first)
    views = [view("a", queue_remaining=0), view("b", queue_remaining=1)]
    assert name_of(router.choose(views, 0)) == "a"
    assert name_of(router.choose(views, PICK_LIFETIME_S)) == "a"


@pytest.mark.parametrize("queue", [0, None])
def test_router_spreads_frequent_requests_evenly(queue: int | None) -> None:
    router = Router(random.Random(1).random)
    views = [view(f"s{number}", queue_remaining=queue) for number in range(8)]
    picks = Counter(name_of(router.choose(views, number / 1000)) for number in range(800))
    assert set(picks.values()) == {100}


def test_router_spreads_rare_requests_over_equals() -> None:
    router = Router(random.Random(1).random)
    views = [view(f"s{number}", queue_remaining=0) for number in range(4)]
    picks = Counter(name_of(router.choose(views, number * 60)) for number in range(400))
    assert min(picks.values()) > 70


def test_router_keeps_only_recent_picks() -> None:
    router = Router(first)
    for number in range(1000):
        router.choose([view(f"s{number}")], number * PICK_LIFETIME_S)
    assert len(router._picks) == 1
