"""How many servers are wanted: Erlang's formula, the queue that it describes, and steadiness."""

import heapq
import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.routing.wanted import (
    HOLD_S,
    OBSERVED_S,
    RATE_SPAN_S,
    Arrivals,
    GroupLoad,
    Runs,
    Steady,
    WantedCount,
    WantedReason,
    least_servers,
    mean_wait_s,
    wanted,
)


def load(least: int = 1, waiting: int = 0, rate: float | None = 0.0, run_s: float | None = 20.0) -> GroupLoad:
    return GroupLoad(least, waiting, rate, run_s)


@pytest.mark.parametrize(
    ("servers", "busy", "expected"),
    [(1, 0.5, 20.0), (2, 1.0, 20.0 / 3), (1, 1.0, math.inf), (2, 3.0, math.inf), (3, 0.0, 0.0)],
)
def test_mean_wait_is_that_of_erlangs_formula(servers: int, busy: float, expected: float) -> None:
    assert mean_wait_s(servers, busy, 20.0) == pytest.approx(expected)


@given(st.floats(0.01, 300), st.floats(0.1, 600), st.floats(1, 600))
def test_least_servers_is_the_first_number_within_the_target(busy: float, run_s: float, target_s: float) -> None:
    count = least_servers(busy, run_s, target_s)
    assert mean_wait_s(count, busy, run_s) <= target_s * (1 + 1e-9)
    assert count == 1 or mean_wait_s(count - 1, busy, run_s) > target_s * (1 - 1e-9)


def simulated_wait_s(servers: int, rate: float, run_s: float, prompts: int, chance: Random) -> float:
    """Return the mean wait in a common queue with random arrivals and run times."""
    free, at, waits = [0.0] * servers, 0.0, 0.0
    for _ in range(prompts):
        at += chance.expovariate(rate)
        start = max(at, heapq.heappop(free))
        waits += start - at
        heapq.heappush(free, start + chance.expovariate(1 / run_s))
    return waits / prompts


@pytest.mark.parametrize(("rate", "run_s", "target_s"), [(0.5, 20.0, 30.0), (0.05, 60.0, 10.0), (4.0, 5.0, 1.0)])
def test_wanted_servers_keep_a_simulated_queue_within_the_target(rate: float, run_s: float, target_s: float) -> None:
    found = wanted(load(rate=rate, run_s=run_s), target_s)
    assert found.reason is WantedReason.ARRIVALS
    assert found.count is not None
    assert simulated_wait_s(found.count, rate, run_s, 60_000, Random(1)) < 1.15 * target_s
    assert simulated_wait_s(found.count - 1, rate, run_s, 60_000, Random(1)) > target_s


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (load(), (1, "workflows")),
        (load(least=3), (3, "workflows")),
        (load(least=3, rate=0.01), (3, "workflows")),
        (load(rate=0.5), (11, "arrivals")),
        (load(waiting=30), (20, "waiting")),
        (load(waiting=31), (21, "waiting")),
        (load(waiting=10**9), (20_000, "waiting")),
        (load(run_s=None), (1, "workflows")),
        (load(run_s=None, waiting=1), (None, "no_run_times")),
        (load(run_s=None, rate=0.1), (None, "no_run_times")),
        (load(rate=None), (None, "observing")),
        (GroupLoad(1, 0, 0.1, 20.0, has_queues=False), (None, "queues_unseen")),
    ],
)
def test_wanted_count_and_its_reason(given: GroupLoad, expected: tuple[int | None, str]) -> None:
    found = wanted(given, 30.0)
    assert (found.count, found.reason.value) == expected


def held(steady: Steady, count: int | None, at: float) -> tuple[int | None, str]:
    found = steady.hold(WantedCount(count, WantedReason.ARRIVALS), at)
    return found.count, found.reason.value


def test_steady_rises_at_once_and_falls_after_the_hold() -> None:
    steady = Steady(4, 0.0)
    assert held(steady, 9, 10.0) == (9, "arrivals")
    assert held(steady, 5, 20.0) == (9, "recent")
    assert held(steady, 3, 10.0 + HOLD_S) == (9, "recent")
    assert held(steady, 3, 10.5 + HOLD_S) == (5, "recent")
    assert held(steady, 2, 21.0 + HOLD_S) == (3, "recent")


def test_steady_begins_with_the_servers_that_are_there() -> None:
    steady = Steady(7, 0.0)
    assert held(steady, 1, HOLD_S) == (7, "recent")
    assert held(steady, 1, HOLD_S + 1) == (1, "arrivals")


def test_steady_unknown_number_stays_unknown() -> None:
    steady = Steady(7, 0.0)
    assert held(steady, None, 1.0)[0] is None
    assert held(steady, 1, 2.0) == (7, "recent")


@given(st.lists(st.integers(1, 50), min_size=2, max_size=60))
def test_steady_never_falls_twice_within_the_hold(counts: list[int]) -> None:
    steady = Steady(counts[0], 0.0)
    shown = [held(steady, count, 60.0 * number)[0] for number, count in enumerate(counts)]
    for number, (before, after) in enumerate(pairwise(shown)):
        assert before is not None
        assert after is not None
        recent = counts[max(0, number + 1 - int(HOLD_S // 60)) : number + 2]
        assert after == max(recent)
        if after < before:
            assert all(count <= after for count in recent)


def test_arrival_rate_is_unknown_at_first_and_then_the_mean() -> None:
    arrivals, at = Arrivals(0.0), 0.0
    while at < 20 * RATE_SPAN_S:
        at += 10.0
        arrivals.arrived(1, at)
        rate = arrivals.per_s(at)
        assert (rate is None) == (at < OBSERVED_S)
        assert rate is None or rate == pytest.approx(0.1, rel=0.05)
    assert (arrivals.per_s(at + 10 * RATE_SPAN_S) or 0.0) < 0.0001


def test_run_time_is_unknown_until_some_prompts_have_ended() -> None:
    runs = Runs()
    for seconds in (10.0, 20.0):
        runs.observe(seconds)
        assert runs.mean_s is None
    runs.observe(30.0)
    assert runs.mean_s == 20.0
